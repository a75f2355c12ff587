"""Errors, intervals and tests: what a score and a difference of scores are worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000


@dataclass(frozen=True)
class Estimate:
    """A score as a share of 1 with its standard error; error None where none is known."""

    value: float
    error: float | None = None


def standard_error(score: float, items: int) -> float:
    """Standard error of a mean of `items` answers that are right or wrong.

    √(p(1−p)/(n−1)), as lm-eval has it: 1.1 points for 20 % on GSM8k's 1,319 items, 1.4 for 44 %.
    It is 0 at 0 and 100 %, where it says too little.
    """
    return float(np.sqrt(max(score * (1 - score), 0) / (items - 1))) if items > 1 else 0.0


def combine(scores: Sequence[float], errors: Sequence[float]) -> Estimate:
    """Mean over seeds with a hierarchical standard error; one seed keeps its samples' own.

    All seeds answer the same items, so the error of the choice of items does not shrink with
    more seeds, while that of the choice of seeds does: error² = var(seeds)/k + mean(errors²). The
    second term holds a little of the first (seeds differ item by item), so this errs on the wide
    side, by √(1 + 1/k) at most.
    """
    values, within = np.asarray(scores, float), np.asarray(errors, float)
    if len(values) == 1:
        return Estimate(float(values[0]), float(within[0]))
    variance = values.var(ddof=1) / len(values) + (within**2).mean()
    return Estimate(float(values.mean()), float(np.sqrt(variance)))


def bootstrap_interval(
    differences: np.ndarray, *, draws: int = DRAWS, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean of paired differences, shape (seeds, items).

    Hierarchical where there are several seeds: seeds and items are both drawn with replacement
    (Saravanan et al. 2020). Items with the same differences are interchangeable,
    so a draw of n items is one multinomial draw over the few distinct ones: the same
    distribution as drawing indices, without n numbers a draw.
    """
    seeds, items = differences.shape
    kinds, counts = np.unique(differences, axis=1, return_counts=True)
    rng = np.random.default_rng(seed)
    block = max(1, 4_000_000 // len(counts))
    means = []
    for start in range(0, draws, block):
        size = min(block, draws - start)
        per_seed = rng.multinomial(items, counts / items, size=size) @ kinds.T / items
        drawn = rng.integers(seeds, size=(size, seeds))
        means.append(np.take_along_axis(per_seed, drawn, axis=1).mean(axis=1))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def paired_error(differences: np.ndarray) -> float:
    """Standard error of the mean of paired differences, shape (seeds, items); as `combine`."""
    items = differences.shape[1]
    if items < 2:
        return 0.0
    errors = differences.std(axis=1, ddof=1) / np.sqrt(items)
    return combine(differences.mean(axis=1), errors).error or 0.0


def exact_paired_test(differences: np.ndarray) -> float:
    """Two-sided p of no difference, from whole-numbered paired differences, shape (seeds, items).

    Under the null the two checkpoints could be exchanged item by item, so every item's summed
    difference is as likely with either sign. With one seed that is the exact McNemar test
    (binomial on the discordant items); with several it keeps the items as the units, instead of
    counting each k times, and takes the seeds as given.
    """
    summed = np.abs(np.rint(differences.sum(axis=0))).astype(int)
    observed = abs(round(float(differences.sum())))
    # Of the values with a plus, the distribution of their sum, as a polynomial in steps of one.
    null = np.ones(1)
    for value in range(1, int(summed.max(initial=0)) + 1):
        times = int((summed == value).sum())
        if times:
            null = _add(null, value, _fair_binomial(times))
    # Those with a minus are the rest.
    sums = 2 * np.arange(len(null)) - (len(null) - 1)
    return min(1.0, float(null[np.abs(sums) >= observed].sum()))


def _add(null: np.ndarray, value: int, counts: np.ndarray) -> np.ndarray:
    """Distribution of the sum when `counts` says how often `value` is added.

    Sums with different rests after division by `value` do not mix, so each rest is a convolution
    of its own, without the zeros between the multiples of `value`.
    """
    wider = np.zeros(len(null) + value * (len(counts) - 1))
    for rest in range(min(value, len(null))):
        wider[rest::value] = np.convolve(null[rest::value], counts)
    return wider


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down correction: p values that may be read at 5 % each."""
    order = np.argsort(p_values, kind="stable")
    factors = len(order) - np.arange(len(order))
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    result = np.empty(len(order))
    result[order] = adjusted
    return result.tolist()


def _fair_binomial(times: int) -> np.ndarray:
    from scipy.stats import binom

    return binom.pmf(np.arange(times + 1), times, 0.5)
