"""An optimizer's state of values that have moved to other places."""

from collections.abc import Callable
from typing import Any

import torch

Tensor = torch.Tensor

# torch's and torchao's names of Adam's two moments, and bitsandbytes'.
FIRST, SECOND = ("exp_avg", "state1"), ("exp_avg_sq", "state2")
# Of bitsandbytes' 8-bit state, each of which has a scale of its own.
BLOCK = 256


def move_state(
    optimizer: torch.optim.Optimizer,
    parameter: torch.nn.Parameter,
    moved: Callable[[Tensor, Tensor], Tensor],
    mean: Tensor,
    square: Tensor,
) -> None:
    """Moves what the optimizer has of each element of a parameter.

    New elements begin with the moments that the gradients gathered for them tell, as in the
    authors' program. Adam divides its moments after t steps by 1 − βᵗ, so they are multiplied by it
    here. A momentum buffer of SGD begins at zero.

    Args:
        moved: gives the elements after the move, from those before it and those of new elements.
        mean: of the gathered gradients.
        square: mean of their squares.
    """
    state = optimizer.state.get(parameter, {})
    group = next(g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    for name in [name for name, value in state.items() if torch.is_tensor(value)]:
        if name == "momentum_buffer":
            fresh = torch.zeros_like(mean)
        elif name in (*FIRST, *SECOND):
            fresh, beta = (mean, 0) if name in FIRST else (square, 1)
            fresh = fresh * (1 - group["betas"][beta] ** float(state["step"]))
        else:
            continue  # Counts and scales.
        _write(state, name, moved(_read(state, name), fresh))


def _read(state: dict[str, Any], name: str) -> Tensor:
    """float32, whatever it is stored in."""
    if state[name].dtype != torch.uint8:
        return state[name].dequantize().float()
    from bitsandbytes.functional import dequantize_blockwise

    code, scales = (state[f"{part}{name[-1]}"] for part in ("qmap", "absmax"))
    return dequantize_blockwise(state[name], absmax=scales, code=code, blocksize=BLOCK)


def _write(state: dict[str, Any], name: str, values: Tensor) -> None:
    if state[name].dtype != torch.uint8:
        state[name].copy_(values)
        return
    from bitsandbytes.functional import quantize_blockwise

    code, scales = (state[f"{part}{name[-1]}"] for part in ("qmap", "absmax"))
    quantize_blockwise(values, code=code, absmax=scales, out=state[name], blocksize=BLOCK)
