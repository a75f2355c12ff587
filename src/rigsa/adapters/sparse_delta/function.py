"""Forward and backward of W0 + α·ΔW at the cost of the kept weights."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F

Tensor = torch.Tensor

# Up to this density a CPU computes the weight gradient only where it is kept: at 20 % that takes
# 0.6 to 0.8 of the dense product's time, at 50 % more than it (benchmarks/kept_weights.py).
SAMPLED_UP_TO = 0.2
TOKENS = 512


def effective_weight(
    weight: Tensor, values: Tensor, gate: Tensor | None, places: Tensor | None
) -> Tensor:
    """W0 + α·ΔW as a new tensor in W0's dtype.

    Args:
        weight: W0, (out_features, in_features).
        values: ΔW of the same shape, or only its kept values, one for each of `places`.
        gate: α, one element; None stands for 1.
        places: int32 row-major places of the kept values, ascending; None where ΔW is dense.

    The sum is taken in the wider of the two dtypes and rounded once.
    """
    if places is None:
        # One pass over memory; a gate of one dimension would be five times slower than a scalar.
        result = weight + values if gate is None else torch.addcmul(weight, values, _scalar(gate))
        return result.to(weight.dtype)
    result = weight.clone(memory_format=torch.contiguous_format)
    _add(result.view(-1), values, gate, places)
    return result


@contextmanager
def effective(
    weight: Tensor, values: Tensor, gate: Tensor | None, places: Tensor | None
) -> Iterator[Tensor]:
    """W0 + α·ΔW within the block.

    A sparse ΔW is put into W0 itself and what stood there is put back afterwards, bit for bit: this
    costs O(kept weights), where a copy of W0 would cost its whole size in memory and time.
    """
    if places is None or not weight.is_contiguous():
        yield effective_weight(weight, values, gate, places)
        return
    # `.data` has a version counter of its own: autograd need not know of a change that is undone.
    flat = weight.data.view(-1)
    before = _add(flat, values, gate, places)
    try:
        yield weight
    finally:
        flat[places] = before


def _add(flat: Tensor, values: Tensor, gate: Tensor | None, places: Tensor) -> Tensor:
    """Adds α·ΔW to W0 in place and returns what stood at its places."""
    before = flat[places]
    flat[places] = effective_weight(before, values, gate, None)
    return before


def _scalar(gate: Tensor) -> Tensor:
    return gate.view(())


def weight_gradient(
    grad_output: Tensor, x: Tensor, shape: torch.Size, places: Tensor | None
) -> Tensor:
    """dL/dW (out_features, in_features), or only its elements at `places`.

    Args:
        grad_output: dL/dy, (tokens, out_features).
        x: input, (tokens, in_features).
    """
    if places is None:
        return grad_output.t() @ x
    sparse = places.numel() <= SAMPLED_UP_TO * shape.numel()
    if sparse and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return _sampled(grad_output, x, shape, places)
    return (grad_output.t() @ x).view(-1)[places]


def _sampled(grad_output: Tensor, x: Tensor, shape: torch.Size, places: Tensor) -> Tensor:
    rows, columns = shape
    starts = torch.arange(0, (rows + 1) * columns, columns, dtype=places.dtype)
    with warnings.catch_warnings():
        # Compressed rows are "in beta" for all that torch can do with them; this is one product.
        warnings.simplefilter("ignore", UserWarning)
        pattern = torch.sparse_csr_tensor(
            torch.searchsorted(places, starts, out_int32=True),
            places % columns,
            x.new_zeros(places.numel()),
            size=shape,
            check_invariants=False,
        )
    # Both factors are transposed for it, which a processor's cache likes in parts.
    for part, inputs in zip(grad_output.split(TOKENS), x.split(TOKENS), strict=True):
        pattern = torch.sparse.sampled_addmm(pattern, part.t(), inputs)
    return pattern.values()


def _inner_product(a: Tensor, b: Tensor) -> Tensor:
    """Sum of all products, in float32."""
    if a.dtype == torch.float32:
        return torch.dot(a.view(-1), b.view(-1))
    return (a * b).sum(dtype=torch.float32)


class SparseDeltaLinear(torch.autograd.Function):
    """y = x·(W0 + α·ΔW)ᵀ. W_eff stands for this layer's turn only, and again in backward.

    Kept between the two: x, the values and the places, so that memory above the model is what a
    frozen linear layer needs plus O(kept weights).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        values: Tensor,
        gate: Tensor | None,
        places: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, values, gate, places)
        with effective(weight, values, gate, places) as w:
            return F.linear(x, w)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, values, gate, places = ctx.saved_tensors
        need_x, _, need_values, need_gate, _ = ctx.needs_input_grad
        grad_x = grad_values = grad_gate = None
        if need_x:
            with effective(weight, values, gate, places) as w:
                grad_x = grad_output @ w
        if need_values or need_gate:
            grad = weight_gradient(
                grad_output.reshape(-1, grad_output.shape[-1]),
                x.reshape(-1, x.shape[-1]),
                weight.shape,
                places,
            ).to(values.dtype)
            if need_gate:
                grad_gate = _inner_product(grad, values).reshape(gate.shape)
            if need_values:
                grad_values = grad if gate is None else grad.mul_(_scalar(gate))
        return grad_x, None, grad_values, grad_gate, None
