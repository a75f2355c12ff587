"""Masks against a plain reference implementation, on any sizes and values."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rigsa.masks.criteria import CRITERIA
from rigsa.masks.select import counts_for_density, counts_for_keep, keep_highest

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


def _flat(matrices: dict[str, torch.Tensor]) -> list[float]:
    return [value for matrix in matrices.values() for value in matrix.reshape(-1).tolist()]


@settings(deadline=None)
@given(_matrices(3), st.floats(0, 1))
def test_each_matrix_is_ranked_by_itself(sets, share: float) -> None:
    scores, free, eligible = sets
    free = {n: m > -1 for n, m in free.items()}
    eligible = {n: free[n] & (m > 0) for n, m in eligible.items()}
    counts = {n: round(share * m.numel()) for n, m in scores.items()}
    masks = keep_highest(scores, free, eligible, counts)
    for name in scores:
        wanted = _reference(
            scores[name].reshape(-1).tolist(),
            free[name].reshape(-1).tolist(),
            eligible[name].reshape(-1).tolist(),
            counts[name],
        )
        assert masks[name].shape == scores[name].shape
        assert (masks[name].reshape(-1).numpy() == wanted).all()


@settings(deadline=None)
@given(_matrices(3), st.floats(0, 1))
def test_all_matrices_are_ranked_together(sets, share: float) -> None:
    scores, free, eligible = sets
    free = {n: m > -1 for n, m in free.items()}
    eligible = {n: free[n] & (m > 0) for n, m in eligible.items()}
    count = round(share * sum(m.numel() for m in scores.values()))
    masks = keep_highest(scores, free, eligible, count)
    assert (
        np.array(_flat(masks)) == _reference(*map(_flat, (scores, free, eligible)), count)
    ).all()


@settings(deadline=None)
@given(_matrices(2), st.floats(0.01, 1))
def test_keep_is_a_share_of_the_eligible_weights(sets, keep: float) -> None:
    """RIGSA's rule: the top `keep` of the weights whose sign is still the initial one."""
    initial, final = sets
    criterion = CRITERIA["large_final_same_sign"]
    free = {n: torch.ones_like(m, dtype=torch.bool) for n, m in initial.items()}
    eligible = {n: criterion.eligible(initial[n], final[n]) for n in initial}
    scores = {n: criterion.score(initial[n], final[n], None) for n in initial}
    masks = keep_highest(scores, free, eligible, counts_for_keep(eligible, keep, together=False))
    for name, mask in masks.items():
        same = np.sign(initial[name].numpy()) == np.sign(final[name].numpy())
        assert mask.sum() == round(keep * int(same.sum()))
        assert (same | ~mask.numpy()).all()
        left_out = torch.from_numpy(same) & ~mask
        if mask.any() and left_out.any():
            assert final[name][mask].abs().min() >= final[name][left_out].abs().max()


@settings(deadline=None)
@given(_matrices(1), st.floats(0.01, 1))
def test_density_counts_all_weights(sets, density: float) -> None:
    (scores,) = sets
    everything = {n: torch.ones_like(m, dtype=torch.bool) for n, m in scores.items()}
    shapes = {n: m.shape for n, m in scores.items()}
    masks = keep_highest(
        scores, everything, everything, counts_for_density(shapes, density, together=True)
    )
    assert sum(int(m.sum()) for m in masks.values()) == round(density * len(_flat(scores)))


def test_criteria_are_those_of_zhou_et_al() -> None:
    initial = torch.tensor([1.0, -2.0, 3.0, -0.5])
    final = torch.tensor([2.0, 1.0, 2.5, -0.5])
    gradient = torch.tensor([-3.0, 0.5, 0.1, 2.0])
    expected = {
        "large_final": [2.0, 1.0, 2.5, 0.5],
        "small_final": [-2.0, -1.0, -2.5, -0.5],
        "large_init": [1.0, 2.0, 3.0, 0.5],
        "small_init": [-1.0, -2.0, -3.0, -0.5],
        "magnitude_increase": [1.0, -1.0, -0.5, 0.0],
        "movement": [1.0, 3.0, 0.5, 0.0],
        "large_final_same_sign": [2.0, 1.0, 2.5, 0.5],
        "large_final_diff_sign": [2.0, 1.0, 2.5, 0.5],
        "snip": [3.0, 1.0, 0.3, 1.0],
        "grad": [3.0, 0.5, 0.1, 2.0],
    }
    assert set(expected) == set(CRITERIA)
    for name, scores in expected.items():
        found = CRITERIA[name].score(initial, final, gradient)
        torch.testing.assert_close(found, torch.tensor(scores))
    same = CRITERIA["large_final_same_sign"].eligible(initial, final)
    assert same.tolist() == [True, False, True, True]
    assert (CRITERIA["large_final_diff_sign"].eligible(initial, final) == ~same).all()
