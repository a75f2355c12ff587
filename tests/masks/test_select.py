"""Masks against a plain reference implementation, on any sizes and values."""

from unittest import mock

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rigsa.masks import select
from rigsa.masks.criteria import CRITERIA
from rigsa.masks.select import Candidates, keep_highest

VALUES = st.integers(-4, 4).map(lambda n: n / 2)


@st.composite
def _matrices(draw: st.DrawFn, count: int) -> list[dict[str, torch.Tensor]]:
    """`count` sets of one to three matrices of the same names and shapes; ties are common."""
    shapes = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=3))
    sets = []
    for _ in range(count):
        matrices = {}
        for number, (rows, columns) in enumerate(shapes):
            size = rows * columns
            values = draw(st.lists(VALUES, min_size=size, max_size=size))
            matrices[f"m{number}"] = torch.tensor(values).reshape(rows, columns)
        sets.append(matrices)
    return sets


def _reference(scores, free, eligible, count):
    """Python's own sort over (eligible first, highest score first, place)."""
    places = [i for i in range(len(scores)) if free[i]]
    ranked = sorted(places, key=lambda i: (not eligible[i], -scores[i], i))
    kept = np.zeros(len(scores), dtype=bool)
    kept[ranked[:count]] = True
    return kept


@settings(deadline=None)
@given(_matrices(3), st.floats(0, 1), st.booleans(), st.integers(1, 4))
def test_the_highest_are_kept_eligible_ones_first(sets, share, all_eligible, block) -> None:
    """Matrices ranked together, in blocks of any size; a matrix by itself is the case of one."""
    scores, free, eligible = ([m.reshape(-1) for m in matrices.values()] for matrices in sets)
    free = [m > -1 for m in free]
    eligible = [f & (all_eligible | (m > 0)) for f, m in zip(free, eligible, strict=True)]
    count = round(share * sum(len(m) for m in scores))

    def candidates():
        for score, among, first in zip(scores, free, eligible, strict=True):
            yield Candidates(score[among], None if all_eligible else first[among])

    with mock.patch.object(select, "_BLOCK", block):
        kept = list(keep_highest(candidates, lambda _: count))
    found = torch.cat(
        [torch.zeros_like(f).masked_scatter(f, k) for f, k in zip(free, kept, strict=True)]
    )
    flat = [torch.cat(m).tolist() for m in (scores, free, eligible)]
    assert (found.numpy() == _reference(*flat, count)).all()


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_scores_of_any_size_and_sign_are_told_apart(seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    sizes = 10.0 ** torch.randint(-30, 30, (200,), generator=generator)
    scores = torch.randn(200, generator=generator) * sizes
    count = round(share * 200)
    (kept,) = keep_highest(lambda: iter([Candidates(scores, None)]), lambda _: count)
    assert kept.sum() == count
    assert torch.equal(
        scores[kept].sort(descending=True).values, scores.sort(descending=True).values[:count]
    )


@given(_matrices(1), st.floats(0, 1))
def test_how_many_is_asked_with_the_number_of_eligible_weights(sets, keep: float) -> None:
    (values,) = (m["m0"].reshape(-1) for m in sets)
    eligible = values > 0
    (kept,) = keep_highest(
        lambda: iter([Candidates(values.abs(), eligible)]), lambda found: round(keep * found)
    )
    assert kept.sum() == round(keep * int(eligible.sum()))
    assert (eligible | ~kept).all()


def test_criteria_are_those_of_zhou_et_al() -> None:
    initial = torch.tensor([1.0, -2.0, 3.0, -0.5])
    final = torch.tensor([2.0, 1.0, 2.5, -0.5])
    gradient = torch.tensor([-3.0, 0.5, 0.1, 2.0])
    expected = {
        "large_final": [2.0, 1.0, 2.5, 0.5],
        "small_final": [-2.0, -1.0, -2.5, -0.5],
        "large_init": [1.0, 2.0, 3.0, 0.5],
        "small_init": [-1.0, -2.0, -3.0, -0.5],
        "large_init_large_final": [0.25, 0.25, 0.75, 0.0],
        "small_init_small_final": [0.25, 0.25, 0.0, 0.75],
        "magnitude_increase": [1.0, -1.0, -0.5, 0.0],
        "movement": [1.0, 3.0, 0.5, 0.0],
        "large_final_same_sign": [2.0, 1.0, 2.5, 0.5],
        "large_final_diff_sign": [2.0, 1.0, 2.5, 0.5],
        "snip": [3.0, 1.0, 0.3, 1.0],
        "grad": [3.0, 0.5, 0.1, 2.0],
        "grad_squared": [-3.0, 0.5, 0.1, 2.0],  # What it is given are squares already.
    }
    assert set(expected) == set(CRITERIA)
    for name, scores in expected.items():
        found = CRITERIA[name].score(initial, final, gradient)
        torch.testing.assert_close(found, torch.tensor(scores))
    same = CRITERIA["large_final_same_sign"].eligible(initial, final)
    assert same.tolist() == [True, False, True, True]
    assert (CRITERIA["large_final_diff_sign"].eligible(initial, final) == ~same).all()
