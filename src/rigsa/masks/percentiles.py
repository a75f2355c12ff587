"""Where each weight stands among all of its matrix, so that sizes of two kinds can be compared."""

import torch


def percentile(sizes: torch.Tensor) -> torch.Tensor:
    """The share of a vector that is smaller than each element; of equals, the first is smaller."""
    places = torch.empty_like(sizes)
    order = sizes.argsort(stable=True)
    places[order] = torch.arange(len(sizes), dtype=sizes.dtype) / len(sizes)
    return places
