"""The mask job: which weights the next training may move."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from rigsa import counter_random
from rigsa.errors import FileError
from rigsa.initial_values import initial_values
from rigsa.masks.criteria import CRITERIA
from rigsa.masks.select import counts_for_density, counts_for_keep, keep_highest
from rigsa.masks.storage import Mask, load_mask, save_mask

logger = logging.getLogger(__name__)
Matrices = dict[str, torch.Tensor]


def select_mask(
    spec: Mapping[str, Any],
    shapes: Mapping[str, torch.Size],
    output: Path,
    previous_adapter: Path | None = None,
    previous_mask: Path | None = None,
    reference_mask: Path | None = None,
    gradients: Callable[[], Matrices] | None = None,
) -> Mask:
    """Chooses and writes a mask.

    Args:
        spec: rule, scope, keep or density, adapter and seed (`specs.mask_spec`).
        shapes: (out_features, in_features) of the adapted modules, in the model's order.
        previous_adapter: folder of the trained adapter that the rule looks at.
        previous_mask: the mask that adapter was trained with; None where it was dense.
        reference_mask: the mask whose density is taken, where the spec gives none.
        gradients: gives dL/dW by module, for rules that rank by it.
    """
    free = _free(shapes, previous_mask)
    scores, eligible = _scores(spec, shapes, free, previous_adapter, gradients)
    together = spec["scope"] == "global"
    if reference_mask is not None:
        counts = _counts_of(load_mask(reference_mask), shapes, reference_mask, together)
    elif spec["keep"] is not None:
        counts = counts_for_keep(eligible, spec["keep"], together)
    else:
        counts = counts_for_density(shapes, spec["density"], together)
    mask = Mask(keep_highest(scores, free, eligible, counts), {"spec": dict(spec)})
    total_free = sum(int(m.sum()) for m in free.values())
    total_eligible = sum(int((free[n] & eligible[n]).sum()) for n in free)
    mask.provenance |= {
        "free_before": total_free,
        "eligible": total_eligible,
        "filled_up": int(sum((mask[n] & ~eligible[n]).sum() for n in mask)),
    }
    save_mask(mask, output)
    logger.info(
        "rule %s: %d of %d free weights eligible (%.1f %%), %d kept: density %.4f %%",
        spec["rule"],
        total_eligible,
        total_free,
        100 * total_eligible / total_free,
        mask.kept,
        100 * mask.density,
    )
    return mask


def _free(shapes: Mapping[str, torch.Size], previous: Path | None) -> Matrices:
    if previous is None:
        return {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    mask = load_mask(previous)
    mask.check_fits(shapes, previous)
    return {name: mask[name] for name in shapes}


def _scores(
    spec: Mapping[str, Any],
    shapes: Mapping[str, torch.Size],
    free: Matrices,
    adapter: Path | None,
    gradients: Callable[[], Matrices] | None,
) -> tuple[Matrices, Matrices]:
    if spec["rule"] == "random":
        scores = {
            name: counter_random.bits(
                counter_random.key(spec["seed"], "mask", name), torch.arange(shape.numel())
            ).reshape(shape)
            for name, shape in shapes.items()
        }
        return scores, free
    criterion = CRITERIA[spec["rule"]]
    gradient = gradients() if criterion.needs_gradient and gradients else {}
    scores, eligible = {}, {}
    for name, shape in shapes.items():
        options = spec["adapter"]
        initial = initial_values(
            options.get("init", "uniform"),
            spec["seed"],
            name,
            tuple(shape),
            options.get("init_scale"),
        )
        final = initial if adapter is None else _trained(adapter, name, free[name])
        scores[name] = criterion.score(initial, final, gradient.get(name))
        eligible[name] = free[name]
        if criterion.eligible is not None:
            eligible[name] = free[name] & criterion.eligible(initial, final)
    return scores, eligible


def _trained(adapter: Path, name: str, free: torch.Tensor) -> torch.Tensor:
    """The trained matrix of one module; zero where it was not free."""
    file = adapter / "adapter_model.safetensors"
    try:
        with safe_open(file, framework="pt") as stored:
            values = stored.get_tensor(f"base_model.model.{name}.sparse_delta_values")
    except (SafetensorError, OSError) as error:
        raise FileError(
            f"{file} cannot be read ({error}); delete it, and the next run makes it again."
        ) from None
    if values.numel() not in (free.numel(), int(free.sum())):
        raise FileError(f"{file}: {name} has {values.numel()} values and does not fit its mask.")
    if values.numel() == free.numel():
        return values.reshape(free.shape)
    matrix = torch.zeros(free.shape)
    matrix[free] = values
    return matrix


def _counts_of(
    reference: Mask, shapes: Mapping[str, torch.Size], source: Path, together: bool
) -> dict[str, int] | int:
    reference.check_fits(shapes, source)
    if together:
        return reference.kept
    return {name: int(reference[name].sum()) for name in shapes}
