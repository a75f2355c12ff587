"""Masks that the authors' own programs choose, for the same values and as many weights.

Each was run once at the commit beside it, on the values below; only the places are kept here.
"""

import pytest
import torch
from safetensors.torch import save_file

from rigsa.mask_rules import RULES_WITH_GRADIENTS
from rigsa.masks.job import select_mask
from rigsa.masks.storage import Mask, load_mask, save_mask
from rigsa.tensors import add_checksum
from rigsa.training.gradient_sums import GradientSums

SHAPES = {"layers.0.a": (4, 6), "layers.0.b": (3, 5)}
SIZE = 39
Places = tuple[list[int], list[int]]

# facebookresearch/open_lth 2ce732f, pruning/sparse_global.py: pruning_fraction 0.4, two rounds, the
# second on other values. It keeps one weight less than 60 %, as its threshold goes as well.
OPEN_LTH: list[Places] = [
    ([0, 2, 3, 5, 8, 10, 11, 13, 14, 16, 19, 21, 22], [0, 1, 3, 5, 6, 8, 9, 11, 14]),
    ([2, 5, 10, 13, 16, 21], [0, 3, 5, 8, 11, 14]),
]
# cambridgeltl/composable-sft 29f7872, src/sft/lt_sft.py: unfreeze_k_most_changed_params(8).
COMPOSABLE_SFT: Places = ([5, 8, 16, 19], [0, 3, 11, 14])
# kiddyboots216/lottery-ticket-adaptation 197cbfd, rlaif/save_mask.py: get_global_sparsity_masks of
# a task vector, sparsity 0.8.
LOTA: Places = ([5, 8, 16, 19], [3, 11, 14])
# song-wx/SIFT 5bef8a0, sift/sift.py: sparse_rate 0.25 at the first gradient. It keeps
# int(0.25 n) + 1 of n weights.
SIFT: Places = ([0, 5, 8, 11, 13, 16, 19], [0, 3, 11, 14])
# IST-DASLab/peft-rosa 810da6a, src/peft/tuners/rosa/{scheduler,hooks}.py: RosaScheduler with
# schedule wl1, spa_num_grads 3, grad_acc_mode mean_squared, d 0.21, on layers whose backward passes
# give these gradients. It keeps int(0.21 n) of n weights.
ROSA: Places = ([2, 5, 13, 16, 21], [0, 8, 11])
ROSA_SHIFTS = (11, 23, 37)
# uber-research/deconstructing-lottery-tickets dbad201, get_weight_init.py: prune_base 0.35 of each
# matrix, with the initial and final values and gradients of the test, no two of which are ranked
# alike. Its quadrants are found by bisection, and keep one or two weights more.
ZHOU: dict[str, Places] = {
    "large_init_large_final": (
        [0, 3, 6, 7, 10, 13, 16, 18, 19, 21, 22],
        [0, 1, 3, 6, 9, 12, 13, 14],
    ),
    "small_init_small_final": ([3, 6, 9, 12, 14, 15, 17, 20, 23], [2, 4, 5, 7, 10, 13]),
    "large_init": ([0, 2, 5, 8, 11, 13, 16, 19, 22], [0, 3, 6, 8, 11, 14]),
    "small_init": ([1, 4, 7, 9, 12, 15, 17, 20, 23], [2, 4, 7, 10, 12, 13]),
    "small_final": ([0, 2, 5, 8, 11, 14, 17, 20, 23], [2, 5, 8, 11, 13, 14]),
    "magnitude_increase": ([1, 4, 6, 7, 9, 10, 12, 15, 18], [1, 4, 7, 10, 12, 13]),
    "movement": ([1, 5, 8, 11, 15, 18, 19, 21, 22], [0, 1, 4, 8, 11, 14]),
    "large_final_same_sign": ([0, 3, 4, 6, 7, 9, 10, 13, 16], [3, 6, 9, 10, 12, 13]),
    "large_final_diff_sign": ([1, 8, 11, 12, 15, 18, 19, 21, 22], [0, 1, 4, 7, 8, 11]),
    "snip": ([0, 3, 5, 8, 11, 13, 16, 19, 22], [0, 3, 6, 9, 11, 14]),
    "grad": ([0, 3, 5, 8, 11, 14, 16, 19, 22], [0, 3, 6, 9, 11, 14]),
}


def _values(shift: int, stride: int = 37) -> dict[str, torch.Tensor]:
    """No two of the same size."""
    values = ((torch.arange(SIZE) * stride + shift) % 101 - 50.25) / 16
    parts = values.split([24, 15])
    return {name: part.view(SHAPES[name]) for name, part in zip(SHAPES, parts, strict=True)}


def _adapter(folder, values: dict[str, torch.Tensor], mask: Mask | None = None):
    """A saved sparse delta with these values."""
    folder.mkdir()
    file = folder / "adapter_model.safetensors"
    kept = {n: v.flatten() if mask is None else v[mask[n]] for n, v in values.items()}
    save_file({f"base_model.model.{n}.sparse_delta_values": v for n, v in kept.items()}, file)
    add_checksum(file)
    return folder


def _chosen(output, spec, **files) -> Places:
    given = {"adapter": {"type": "sparse_delta", "init": "zero"}, "keep": None, "seed": 0, **spec}
    select_mask(given, SHAPES, output, **files)
    mask = load_mask(output)
    return tuple(mask[name].flatten().nonzero().squeeze(1).tolist() for name in SHAPES)


@pytest.mark.parametrize("expected", [COMPOSABLE_SFT, LOTA], ids=["lt_sft", "lota"])
def test_the_largest_changes_of_all(expected: Places, tmp_path) -> None:
    spec = {"rule": "large_final", "scope": "global", "density": sum(map(len, expected)) / SIZE}
    adapter = _adapter(tmp_path / "adapter", _values(11))
    assert _chosen(tmp_path / "mask", spec, previous_adapter=adapter) == expected


def test_iterative_magnitude_pruning(tmp_path) -> None:
    spec = {"rule": "large_final", "scope": "global"}
    first, second = ({**spec, "density": sum(map(len, places)) / SIZE} for places in OPEN_LTH)
    adapter = _adapter(tmp_path / "adapter", _values(11))
    assert _chosen(tmp_path / "mask", first, previous_adapter=adapter) == OPEN_LTH[0]
    mask = load_mask(tmp_path / "mask")
    files = {
        "previous_adapter": _adapter(tmp_path / "next", _values(23), mask),
        "previous_mask": tmp_path / "mask",
    }
    assert _chosen(tmp_path / "second", second, **files) == OPEN_LTH[1]


def test_the_largest_gradients_of_each_matrix(tmp_path) -> None:
    spec = {"rule": "grad", "scope": "matrix", "density": 0.28}
    assert [round(0.28 * size) for size in (24, 15)] == [len(places) for places in SIFT]
    assert _chosen(tmp_path / "mask", spec, gradients=lambda: _values(11)) == SIFT


def test_the_largest_squares_over_batches(tmp_path) -> None:
    sums = GradientSums(squares=True)
    for shift in ROSA_SHIFTS:
        for name, gradient in _values(shift).items():
            # A batch in two passes, which are summed before they are squared.
            sums.add(name, gradient / 4)
            sums.add(name, 3 * gradient / 4)
        sums.end_batch()
    spec = {"rule": "grad_squared", "scope": "matrix", "density": 0.21}
    assert [round(0.21 * size) for size in (24, 15)] == [len(places) for places in ROSA]
    assert _chosen(tmp_path / "mask", spec, gradients=lambda: sums.sums) == ROSA


@pytest.mark.parametrize("rule", ZHOU)
def test_every_criterion_of_zhou(rule: str, tmp_path) -> None:
    counts = {}
    for (name, shape), places in zip(SHAPES.items(), ZHOU[rule], strict=True):
        counts[name] = (torch.arange(shape[0] * shape[1]) < len(places)).view(shape)
    save_mask(Mask(counts), tmp_path / "counts")
    files = {"reference_mask": tmp_path / "counts"}
    files["rewound"] = _adapter(tmp_path / "initial", _values(11)) / "adapter_model.safetensors"
    if rule in RULES_WITH_GRADIENTS:
        files["gradients"] = lambda: _values(5)
    else:
        files["previous_adapter"] = _adapter(tmp_path / "final", _values(23, 67))
    assert _chosen(tmp_path / "mask", {"rule": rule, "scope": "matrix"}, **files) == ZHOU[rule]
