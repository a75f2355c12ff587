"""Which places of one matrix a sparse delta gives up, and which it takes instead."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

Tensor = torch.Tensor


def highest(scores: Tensor, count: int) -> Tensor:
    """A bool tensor that marks the `count` highest scores; ties go to those that come first."""
    if count == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    # Which of equal scores topk takes is its own affair, but not which score is the last.
    last = scores.topk(count, sorted=False).values.min()
    marked = scores > last
    ties = (scores == last).nonzero().squeeze(1)
    marked[ties[: count - int(marked.sum())]] = True
    return marked


@dataclass
class Candidates:
    """Places that may be taken: where the first of the gathered gradients is largest.

    Attributes:
        places: int32 row-major, ascending, as many as the delta has.
        sums: of the gathered gradients there, float32.
        squares: sums of their squares.
    """

    places: Tensor
    sums: Tensor
    squares: Tensor

    @classmethod
    def of(cls, gradient: Tensor, count: int) -> "Candidates":
        """From the first gradient, (out_features, in_features)."""
        gradient = gradient.view(-1)
        places = highest(gradient.abs(), count).nonzero().squeeze(1)
        there = gradient[places]
        return cls(places.to(torch.int32), there, there.square())

    def add(self, gradient: Tensor) -> None:
        """Another gradient, one element for each place."""
        self.sums += gradient
        self.squares += gradient.square()


class Move(NamedTuple):
    """What changes of a delta's places.

    Attributes:
        kept: bool, marks the places that stay.
        grown: bool, marks the candidates that are taken, as many as go.
        order: puts those that stay, followed by those that are taken, in ascending order.
    """

    kept: Tensor
    grown: Tensor
    order: Tensor

    def moved(self, old: Tensor, fresh: Tensor) -> Tensor:
        """One number a place, after the move: `fresh` has those of all candidates."""
        return torch.cat([old[self.kept], fresh[self.grown]])[self.order]


def move(values: Tensor, places: Tensor, candidates: Candidates, count: int) -> Move:
    """SpIEL's reselection (arXiv 2401.16405, section 3.1), as the authors' program makes it.

    The `count` places whose values are smallest go, and the `count` candidates whose summed
    gradients are largest come, of those that do not stay anyway. A place that would go and come
    keeps its value. Where too few come, the smallest go.
    """
    size = values.detach().abs().float()
    going = highest(-size, count)
    free = ~torch.isin(candidates.places, places[~going])
    coming = torch.zeros_like(free)
    coming[free] = highest(candidates.sums[free].abs(), min(count, int(free.sum())))
    both = torch.isin(places, candidates.places[coming])
    grown = coming & ~torch.isin(candidates.places, places)
    going &= ~both
    going[going.clone()] = highest(-size[going], int(grown.sum()))
    order = torch.cat([places[~going], candidates.places[grown]]).argsort()
    return Move(~going, grown, order)
