"""Choosing a mask: rank the free weights by score, keep as many as the schedule says."""

from collections.abc import Mapping

import torch

Tensor = torch.Tensor
Matrices = Mapping[str, Tensor]
# How many weights to keep: of each matrix, or (one number) of all matrices ranked together.
Counts = Mapping[str, int] | int


def keep_highest(
    scores: Matrices, free: Matrices, eligible: Matrices, counts: Counts
) -> dict[str, Tensor]:
    """The mask that keeps the highest scores among the free weights.

    Args:
        scores: one score a weight, by module.
        free: bool, the weights that the previous mask kept; others are never kept.
        eligible: bool, the weights taken first; the rest of the free ones only fill up.
        counts: how many to keep.

    Ties go to the weight that comes first (module order, then row by row), so that the same
    scores give the same mask on every device.
    """
    if not isinstance(counts, int):
        return {n: _top(scores[n], free[n], eligible[n], counts[n]) for n in scores}
    flat = [torch.cat([m[n].reshape(-1) for n in scores]) for m in (scores, free, eligible)]
    parts = _top(*flat, counts).split([score.numel() for score in scores.values()])
    return {n: part.reshape(scores[n].shape) for n, part in zip(scores, parts, strict=True)}


def counts_for_keep(eligible: Matrices, keep: float, together: bool) -> Counts:
    """Keeping the share `keep` of the eligible weights."""
    sizes = {name: int(matrix.sum()) for name, matrix in eligible.items()}
    return _share(sizes, keep, together)


def counts_for_density(shapes: Mapping[str, torch.Size], density: float, together: bool) -> Counts:
    """Keeping the share `density` of all weights, pruned ones counted."""
    return _share({name: shape.numel() for name, shape in shapes.items()}, density, together)


def _share(sizes: Mapping[str, int], share: float, together: bool) -> Counts:
    if together:
        return round(share * sum(sizes.values()))
    return {name: round(share * size) for name, size in sizes.items()}


def _top(score: Tensor, free: Tensor, eligible: Tensor, count: int) -> Tensor:
    first = (free & eligible).reshape(-1)
    rest = (free & ~eligible).reshape(-1)
    score = score.reshape(-1)
    from_first = min(count, int(first.sum()))
    kept = torch.zeros_like(first)
    kept[_highest(score, first, from_first)] = True
    kept[_highest(score, rest, min(count - from_first, int(rest.sum())))] = True
    return kept.reshape(free.shape)


def _highest(score: Tensor, among: Tensor, count: int) -> Tensor:
    places = among.nonzero().squeeze(1)
    if not count:
        return places[:0]
    order = torch.sort(score[places], descending=True, stable=True).indices
    return places[order[:count]]
