"""Choosing a mask: rank the free weights by score, keep as many as the schedule says.

The lowest score that is kept is found by counting how often each value of its upper and then of its
lower 16 bits occurs. That takes linear time, and weights that are ranked together need never be in
memory together.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

Tensor = torch.Tensor

_DIGIT = 1 << 16
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Candidates:
    """The free weights of one matrix, in row-major order.

    Attributes:
        scores: float32, the highest are kept.
        eligible: bool, the weights taken first, the rest of the free ones only fill up; None where
            all are eligible.
    """

    scores: Tensor
    eligible: Tensor | None

    def blocks(self) -> Iterator["Candidates"]:
        """Parts that stay in a processor's cache while they are looked at."""
        scores = self.scores.split(_BLOCK)
        eligible = [None] * len(scores) if self.eligible is None else self.eligible.split(_BLOCK)
        yield from map(Candidates, scores, eligible)


def keep_highest(
    candidates: Callable[[], Iterable[Candidates]], count: Callable[[int], int]
) -> Iterator[Tensor]:
    """Which candidates are kept of matrices ranked together: a bool tensor for each matrix.

    Args:
        candidates: gives the matrices one after the other; called three times.
        count: how many to keep, from the number of eligible weights; more than there are keeps all.

    Ties go to the weight that comes first (matrix by matrix, row by row), so that the same scores
    give the same mask on every device.
    """
    upper = _counted(candidates, _upper, 2 * _DIGIT)
    wanted = min(count(int(upper[_DIGIT:].sum())), int(upper.sum()))
    digit, wanted_there = _from_top(upper, wanted)
    lower = _counted(
        candidates,
        lambda block: _ordered(block.scores)[_upper(block) == digit] & (_DIGIT - 1),
        _DIGIT,
    )
    lower_digit, ties = _from_top(lower, wanted_there)
    eligible, score = _decoded(digit, lower_digit)
    for part in candidates():
        kept = torch.empty(len(part.scores), dtype=torch.bool)
        start = 0
        for block in part.blocks():
            above, tied = _compared(block, eligible, score)
            places = tied.nonzero().squeeze(1)[:ties]
            above[places] = True
            ties -= len(places)
            kept[start : start + len(above)] = above
            start += len(above)
        yield kept


def _counted(
    candidates: Callable[[], Iterable[Candidates]], digit: Callable[[Candidates], Tensor], size: int
) -> Tensor:
    counts = torch.zeros(size, dtype=torch.int64)
    for part in candidates():
        for block in part.blocks():
            counts += torch.bincount(digit(block), minlength=size)
    return counts


def _ordered(scores: Tensor) -> Tensor:
    """int32 in the order of the float32 scores. The sum makes one zero of two."""
    bits = (scores + 0.0).view(torch.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _upper(block: Candidates) -> Tensor:
    """The upper digit, eligible weights above all others: 0 to 2 · 65,536 − 1."""
    digit = (_ordered(block.scores) >> 16) + _DIGIT // 2
    return digit + _DIGIT if block.eligible is None else digit + _DIGIT * block.eligible


def _from_top(counts: Tensor, wanted: int) -> tuple[int, int]:
    """The value down to which the highest `wanted` reach, and how many of that value belong."""
    downwards = counts.flip(0).cumsum(0)
    step = min(int(torch.searchsorted(downwards, max(wanted, 1))), len(counts) - 1)
    above = int(downwards[step - 1]) if step else 0
    return len(counts) - 1 - step, wanted - above


def _decoded(digit: int, lower: int) -> tuple[bool, Tensor]:
    """Whether the threshold lies among the eligible weights, and its score."""
    ordered = torch.tensor(((digit % _DIGIT - _DIGIT // 2) << 16) | lower, dtype=torch.int32)
    bits = ordered ^ ((ordered >> 31) & 0x7FFFFFFF)
    return digit >= _DIGIT, bits.view(torch.float32)


def _compared(block: Candidates, among_eligible: bool, score: Tensor) -> tuple[Tensor, Tensor]:
    """Which weights stand above the threshold, and which on it."""
    above, equal = block.scores > score, block.scores == score
    if block.eligible is None:
        return (above, equal) if among_eligible else (torch.ones_like(above), equal & False)
    if among_eligible:
        return above & block.eligible, equal & block.eligible
    return above | block.eligible, equal & ~block.eligible
