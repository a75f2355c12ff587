"""Initial values of ΔW: regenerated from (seed, module name), never stored."""

import math
from collections.abc import Callable

import torch

from rigsa import counter_random

BLOCK = 1 << 16
GPU_BLOCK = 1 << 24


def initial_values(
    init: str,
    seed: int,
    module: str,
    shape: tuple[int, int],
    scale: float | None = None,
    places: torch.Tensor | None = None,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """float32 initial values of one matrix (RIGSA, section 3: random and full-rank).

    Args:
        init: "uniform" in ±scale, "normal" with standard deviation scale, or "zero".
        module: the module's name in the base model.
        shape: (out_features, in_features).
        scale: None stands for 1/sqrt(in_features).
        places: row-major places to give values for; None gives the whole matrix, in `shape`.

    Returns:
        A tensor of `shape`, or of as many values as there are `places`; the same on every device.
    """
    if init == "zero":
        return torch.zeros(shape if places is None else places.shape, device=device)
    key = counter_random.key(seed, "initial values", module)
    draw = counter_random.uniform if init == "uniform" else counter_random.normal
    scale = 1.0 / math.sqrt(shape[1]) if scale is None else scale
    values = at_places(lambda part: draw(key, part) * scale, shape, places, device)
    return values.view(shape) if places is None else values


def at_places(
    draw: Callable[[torch.Tensor], torch.Tensor],
    shape: tuple[int, int],
    places: torch.Tensor | None,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """float32 `draw(place)` for each of `places`, or for all places of a matrix of `shape`.

    Drawn block by block: the integers between take many times the room of the result, and on a CPU
    stay in its cache.
    """
    count = shape[0] * shape[1] if places is None else len(places)
    block = BLOCK if torch.device(device).type == "cpu" else GPU_BLOCK
    values = torch.empty(count, device=device)
    for start in range(0, count, block):
        end = min(start + block, count)
        if places is None:
            part = torch.arange(start, end, device=device)
        else:
            part = places[start:end].to(device)
        values[start:end] = draw(part)
    return values


def same_sign(initial: torch.Tensor, final: torch.Tensor) -> torch.Tensor:
    """Bool, where the sign of the final value is still that of the initial one."""
    return torch.sign(final) == torch.sign(initial)
