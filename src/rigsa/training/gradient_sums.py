"""Gradients of whole matrices, or their squares, summed over batches."""

import torch

Tensor = torch.Tensor


class GradientSums:
    """Over batches, the sum of each matrix's gradient or of its square.

    In float32, as large as the matrices; twice that from the second of several batches on.

    Args:
        squares: the square of a batch's gradient is added.

    Attributes:
        sums: (out_features, in_features) by module.
    """

    def __init__(self, squares: bool) -> None:
        self.squares = squares
        self.sums: dict[str, Tensor] = {}
        self._batch: dict[str, Tensor] = {}

    def add(self, module: str, gradient: Tensor) -> None:
        """Of a pass, which is a part of a batch. The tensor may be used up."""
        if module in self._batch:
            self._batch[module] += gradient
        else:
            self._batch[module] = gradient.float()

    def end_batch(self) -> None:
        for module, gradient in self._batch.items():
            whole = gradient.square_() if self.squares else gradient
            if module in self.sums:
                self.sums[module] += whole
            else:
                self.sums[module] = whole
        self._batch = {}
