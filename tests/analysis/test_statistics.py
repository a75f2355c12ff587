"""Errors, intervals and tests against hand-computed values, scipy and their own properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from rigsa.analysis.statistics import (
    bootstrap_interval,
    combine,
    exact_paired_test,
    holm,
    paired_error,
    standard_error,
)

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def differences(lost: int, gained: int, same: int) -> np.ndarray:
    return np.repeat([1.0, -1.0, 0.0], [lost, gained, same])[None]


def test_standard_error_is_that_of_the_sample():
    answers = np.repeat([1.0, 0.0], [30, 70])
    assert standard_error(0.3, 100) == pytest.approx(answers.std(ddof=1) / 10)


def test_standard_error_of_gsm8k():
    # 1.1 points near 20 %, 1.4 near 44 %, of 1,319 items.
    assert round(100 * standard_error(0.199, 1319), 1) == 1.1
    assert round(100 * standard_error(0.437, 1319), 1) == 1.4


def test_one_seed_keeps_its_own_error():
    estimate = combine([0.8], [0.02])
    assert (estimate.value, estimate.error) == (0.8, 0.02)


def test_several_seeds_add_the_error_of_seeds_to_that_of_items():
    estimate = combine([0.7, 0.8, 0.9], [0.03, 0.03, 0.03])
    assert estimate.value == pytest.approx(0.8)
    # Variance of seeds 0.01, over three of them, and 0.03² that more seeds do not shrink.
    assert estimate.error == pytest.approx((0.01 / 3 + 0.0009) ** 0.5)


@given(lost=st.integers(0, 60), gained=st.integers(0, 60), same=st.integers(0, 40))
def test_one_seed_is_exact_mcnemar(lost: int, gained: int, same: int):
    if lost + gained + same == 0:
        return
    ours = exact_paired_test(differences(lost, gained, same))
    discordant = lost + gained
    scipys = binomtest(lost, discordant).pvalue if discordant else 1.0
    assert ours == pytest.approx(scipys, abs=1e-12)


def test_mcnemar_by_hand():
    # 1 of 6 discordant items one way: 2·(1 + 6)/64.
    assert exact_paired_test(differences(5, 1, 9)) == pytest.approx(2 * 7 / 64)


def test_seeds_that_agree_are_not_more_items():
    one = differences(9, 2, 30)
    assert exact_paired_test(np.repeat(one, 3, axis=0)) == pytest.approx(exact_paired_test(one))


@pytest.mark.parametrize("seeds", [2, 5])
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_several_seeds_match_all_sign_flips(seeds: int, seed: int):
    given_differences = np.random.default_rng(seed).integers(-1, 2, size=(seeds, 9))
    summed = given_differences.sum(axis=0)
    flips = 1 - 2 * (np.arange(2**9)[:, None] >> np.arange(9) & 1)
    expected = np.mean(np.abs(flips @ summed) >= abs(summed.sum()))
    assert exact_paired_test(given_differences.astype(float)) == pytest.approx(expected)


def test_bootstrap_is_reproducible_and_holds_the_mean():
    data = differences(40, 10, 150)
    low, high = bootstrap_interval(data)
    assert (low, high) == bootstrap_interval(data)
    assert low < 0.15 < high
    # Normal approximation: 0.15 ± 1.96·0.0341.
    assert (low, high) == pytest.approx((0.083, 0.217), abs=0.01)


def test_bootstrap_is_that_of_drawn_indices():
    rng = np.random.default_rng(1)
    data = rng.integers(-1, 2, size=(3, 80)).astype(float)
    means = [
        data[rng.integers(3, size=3)][:, rng.integers(80, size=80)].mean() for _ in range(10_000)
    ]
    assert bootstrap_interval(data) == pytest.approx(
        tuple(np.quantile(means, [0.025, 0.975])), abs=0.01
    )


def test_bootstrap_interval_covers():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        sample = rng.choice([1.0, 0.0, -1.0], p=[0.3, 0.5, 0.2], size=(1, 150))
        low, high = bootstrap_interval(sample, draws=1000)
        covered += low <= 0.1 <= high
    assert 0.91 <= covered / 300 <= 0.985


def test_bootstrap_of_seeds_is_wider_than_of_items_alone():
    per_seed = np.array([0.0, 0.2, 0.4])
    data = (np.random.default_rng(0).random((3, 200)) < per_seed[:, None]).astype(float)
    low, high = bootstrap_interval(data)
    items_low, items_high = bootstrap_interval(data.mean(axis=0)[None])
    assert high - low > 2 * (items_high - items_low)


def test_no_difference_has_no_width():
    assert bootstrap_interval(np.zeros((1, 20))) == (0, 0)
    assert exact_paired_test(np.zeros((1, 20))) == 1
    assert paired_error(np.zeros((2, 20))) == 0


def test_paired_error_by_hand():
    data = differences(1, 1, 2)
    assert paired_error(data) == pytest.approx((2 / 3) ** 0.5 / 2)


def test_holm_by_hand():
    # Smallest times 3, next times 2 (but not below the one before), largest times 1.
    assert holm([0.04, 0.01, 0.015]) == pytest.approx([0.04, 0.03, 0.03])


@given(p_values)
def test_holm_never_lowers_keeps_order_and_stays_a_probability(values: list[float]):
    adjusted = holm(values)
    assert all(value <= after <= 1 for value, after in zip(values, adjusted, strict=True))
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


@given(p_values)
def test_holm_is_no_wider_than_bonferroni(values: list[float]):
    bound = [min(1, len(values) * value) for value in values]
    assert all(a <= b + 1e-12 for a, b in zip(holm(values), bound, strict=True))


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []
