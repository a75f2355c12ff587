"""A linear layer with a sparse delta, which can measure its weight's gradient beside it."""

from typing import Any

import torch

from rigsa.adapters.sparse_delta.function import weight_gradient
from rigsa.adapters.sparse_delta.layer import SparseDeltaLayer

Tensor = torch.Tensor


class SpielLayer(SparseDeltaLayer):
    """Between `measure` and `measured`, backward passes add up dL/dW where it is asked for."""

    # A forward hook would do, if torch.compile did not overlook one that comes after it.
    wanted: tuple[Tensor, Tensor | None] | None = None
    # The share of places that the last move took elsewhere; None before there is one.
    moved: float | None = None

    def training_statistics(self) -> dict[str, float | None]:
        """What a sparse delta says, and "moved"."""
        return {**super().training_statistics(), "moved": self.moved}

    def measure(self, places: Tensor | None, device: torch.device) -> Tensor:
        """Begins; returns the tensor in whose `grad` it is added up, float32.

        Args:
            places: int32 row-major, ascending; None for all, which takes 4 bytes a weight.
            device: of the layer.
        """
        size = self.shape if places is None else places.shape
        # One number, however large: only its gradient takes memory.
        zeros = torch.zeros((), device=device).expand(size).requires_grad_()
        self.wanted = zeros, places
        return zeros

    def measured(self) -> Tensor:
        """Ends; (out_features, in_features) or an element a place, 0 if no pass came by."""
        zeros, _ = self.wanted
        self.wanted = None
        return torch.zeros_like(zeros) if zeros.grad is None else zeros.grad

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = super().forward(x, *args, **kwargs)
        if self.wanted is None:
            return result
        zeros, places = self.wanted
        return _Measured.apply(result, x.to(result.dtype), zeros, torch.Size(self.shape), places)


class _Measured(torch.autograd.Function):
    """y + x·0ᵀ, whose gradient for the zeros is dL/dW."""

    @staticmethod
    def forward(
        ctx: Any, output: Tensor, x: Tensor, zeros: Tensor, shape: torch.Size, places: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(x, places)
        ctx.shape = shape
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, places = ctx.saved_tensors
        rows, columns = ctx.shape
        grad = weight_gradient(
            grad_output.reshape(-1, rows), x.reshape(-1, columns), ctx.shape, places
        )
        return grad_output, None, grad.to(torch.float32), None, None
