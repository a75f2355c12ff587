"""How many weights a mask keeps of matrices that are ranked together."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rigsa.masks.storage import Shapes, check_fits, count, stored_mask, total


def budget(
    spec: Mapping[str, Any], shapes: Shapes, reference_mask: Path | None
) -> Callable[[list[str], int], int]:
    """Gives the number to keep of a group of matrices, so many weights of which are eligible.

    Args:
        spec: keep, density, or lora_rank and progress (`specs.mask_settings`).
        shapes: (out_features, in_features) by module.
        reference_mask: where it is given, each group keeps as many weights as that mask has there.
    """
    if reference_mask is not None:
        with stored_mask(reference_mask) as reference:
            check_fits(reference.shapes, shapes, reference_mask)
            counts = {name: count(reference.bits(name)) for name in shapes}
        return lambda group, eligible: sum(counts[name] for name in group)
    if spec["keep"] is not None:
        return lambda group, eligible: round(spec["keep"] * eligible)

    def scheduled(group: list[str], eligible: int) -> int:
        size = total({name: shapes[name] for name in group})
        if "lora_rank" not in spec:
            return round(spec["density"] * size)
        last = lora_parameters(spec["lora_rank"], [shapes[name] for name in group])
        return round(size * (last / size) ** spec["progress"])

    return scheduled


def lora_parameters(rank: int, shapes: list[tuple[int, int]]) -> int:
    """Of LoRA on matrices of these shapes: A is (rank, columns), B is (rows, rank)."""
    return rank * sum(rows + columns for rows, columns in shapes)
