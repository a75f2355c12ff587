"""Initial values of ΔW: regenerated from (seed, module name), never stored."""

import math

import torch

from rigsa import counter_random


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
    wanted = shape if places is None else places.shape
    if init == "zero":
        return torch.zeros(wanted, device=device)
    if places is None:
        places = torch.arange(shape[0] * shape[1], device=device)
    key = counter_random.key(seed, "initial values", module)
    draw = counter_random.uniform if init == "uniform" else counter_random.normal
    scale = 1.0 / math.sqrt(shape[1]) if scale is None else scale
    return (draw(key, places.to(device)) * scale).reshape(wanted)


def same_sign(initial: torch.Tensor, final: torch.Tensor) -> torch.Tensor:
    """Bool, where the sign of the final value is still that of the initial one."""
    return torch.sign(final) == torch.sign(initial)
