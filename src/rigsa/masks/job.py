"""The mask job: which weights the next training may move. One matrix in memory at a time."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rigsa.masks.budget import budget
from rigsa.masks.scopes import ranked_together
from rigsa.masks.score import Scorer
from rigsa.masks.select import Candidates, keep_highest
from rigsa.masks.storage import check_fits, pack, pack_places, stored_mask, total, written_mask
from rigsa.masks.values import saved_values

logger = logging.getLogger(__name__)
Matrices = Mapping[str, torch.Tensor]
Shapes = Mapping[str, tuple[int, ...]]


def select_mask(
    spec: Mapping[str, Any],
    shapes: Shapes,
    output: Path,
    previous_adapter: Path | None = None,
    previous_mask: Path | None = None,
    reference_mask: Path | None = None,
    gradients: Callable[[], Matrices] | None = None,
    threads: int = 1,
    rewound: Path | None = None,
) -> None:
    """Chooses and writes a mask.

    Args:
        spec: rule, scope, what `budget` reads, adapter and seed (`specs.mask_settings`).
        shapes: (out_features, in_features) of the adapted modules, in the model's order.
        previous_adapter: folder of the trained adapter that the rule looks at.
        previous_mask: the mask that adapter was trained with; None where it was dense.
        reference_mask: the mask whose density is taken, where the spec gives none.
        gradients: gives dL/dW by module, for rules that rank by it.
        threads: matrices that are ranked by themselves are ranked so many at a time.
        rewound: the dense values that survivors go back to, where these are not the drawn ones.
    """
    with ExitStack() as stack:
        previous = trained = begun = None
        if previous_mask is not None:
            previous = stack.enter_context(stored_mask(previous_mask))
            check_fits(previous.shapes, shapes, previous_mask)
        if previous_adapter is not None:
            file = previous_adapter / "adapter_model.safetensors"
            trained = stack.enter_context(saved_values(file))
        if rewound is not None:
            begun = stack.enter_context(saved_values(rewound))
        scorer = Scorer(spec, shapes, previous, trained, gradients, begun)
        wanted = budget(spec, shapes, reference_mask)
        write, provenance = stack.enter_context(written_mask(output, shapes))
        totals: Counter[str] = Counter()
        for masks, found in chosen(scorer, wanted, threads):
            totals.update(found)
            for bits in masks:
                write(bits)
        kept = totals.pop("kept")
        provenance.update(totals, spec=dict(spec))
    logger.info(
        "rule %s: %d of %d free weights eligible (%.1f %%), %d kept: density %.4f %%",
        spec["rule"],
        totals["eligible"],
        totals["free_before"],
        100 * totals["eligible"] / max(1, totals["free_before"]),
        kept,
        100 * kept / total(shapes),
    )


def chosen(
    scorer: Scorer, wanted: Callable[[list[str], int], int], threads: int = 1
) -> Iterator[tuple[list[torch.Tensor], dict[str, int]]]:
    """Of each group of matrices that are ranked together, in the model's order: their masks in
    packed bits, and what was counted."""
    groups = ranked_together(scorer.spec["scope"], scorer.shapes)
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(partial(_select_group, scorer, wanted), groups)


def _select_group(
    scorer: Scorer, wanted: Callable[[list[str], int], int], group: list[str]
) -> tuple[list[torch.Tensor], dict[str, int]]:
    """Ranks the matrices of a group together: their masks in packed bits, and what was counted."""
    eligible = free = kept = 0
    masks = []

    def how_many(found: int) -> int:
        nonlocal eligible
        eligible = found
        return wanted(group, found)

    def candidates() -> Iterator[Candidates]:
        return (scorer.candidates(name, scorer.places(name)) for name in group)

    if len(group) == 1:
        # A matrix by itself need not be scored again for every look at it.
        parts = list(candidates())
        candidates = lambda: iter(parts)  # noqa: E731
    for name, among_free in zip(group, keep_highest(candidates, how_many), strict=True):
        places, shape = scorer.places(name), scorer.shapes[name]
        kept += int(among_free.sum())
        free += len(among_free)
        masks.append(pack(among_free) if places is None else pack_places(places[among_free], shape))
    filled_up = max(0, kept - eligible)
    counts = {"free_before": free, "eligible": eligible, "filled_up": filled_up, "kept": kept}
    return masks, counts
