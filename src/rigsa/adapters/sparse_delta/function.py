"""Forward and backward of W0 + α·ΔW without keeping either W_eff or a dense gradient."""

from typing import Any

import torch
import torch.nn.functional as F

Tensor = torch.Tensor


def effective_weight(
    weight: Tensor, values: Tensor, gate: Tensor | None, places: Tensor | None
) -> Tensor:
    """W0 + α·ΔW as a new tensor in W0's dtype.

    Args:
        weight: W0, (out_features, in_features).
        values: ΔW of the same shape, or only its kept values, one for each of `places`.
        gate: α, one element; None stands for 1.
        places: int32 row-major places of the kept values, ascending; None where ΔW is dense.
    """
    delta = values if gate is None else values * gate
    if places is None:
        return (weight + delta).to(weight.dtype)
    result = weight.clone()
    flat = result.view(-1)
    # Sum in the values' precision: in bfloat16 small deltas would be lost before they are added.
    flat[places] = (flat[places] + delta).to(weight.dtype)
    return result


class SparseDeltaLinear(torch.autograd.Function):
    """y = x·(W0 + α·ΔW)ᵀ. W_eff is formed for this layer's turn and again in backward.

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
        return F.linear(x, effective_weight(weight, values, gate, places))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, values, gate, places = ctx.saved_tensors
        need_x, _, need_values, need_gate, _ = ctx.needs_input_grad
        grad_x = grad_values = grad_gate = None
        if need_x:
            grad_x = grad_output @ effective_weight(weight, values, gate, places)
        if need_values or need_gate:
            rows = grad_output.reshape(-1, grad_output.shape[-1])
            grad = rows.t() @ x.reshape(-1, x.shape[-1])
            if places is not None:
                grad = grad.view(-1)[places]
            grad = grad.to(values.dtype)
            if need_gate:
                grad_gate = torch.dot(grad.view(-1), values.view(-1)).reshape(gate.shape)
            if need_values:
                grad_values = grad if gate is None else grad.mul_(gate)
        return grad_x, None, grad_values, grad_gate, None
