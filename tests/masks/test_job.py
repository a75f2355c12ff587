"""The mask job: from a trained adapter on disk to the mask of the next step."""

import pytest
import torch

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.errors import FileError
from rigsa.initial_values import initial_values
from rigsa.masks.job import select_mask
from rigsa.masks.storage import Mask, load_mask
from tests.conftest import make_llama

SHAPES = linear_shapes(make_llama())
SPEC = {
    "adapter": {"type": "sparse_delta", "init": "uniform"},
    "rule": "large_final_same_sign",
    "scope": "matrix",
    "keep": None,
    "density": None,
    "seed": 7,
}


def _select(spec, output, **files) -> Mask:
    select_mask(spec, SHAPES, output, **files)
    return load_mask(output)


def _train(folder, mask=None) -> dict[str, torch.Tensor]:
    """A pretended training: values moved by noise large enough to change some signs."""
    adapted = build_adapter(make_llama(), SPEC["adapter"], SPEC["seed"], mask)
    generator = torch.Generator().manual_seed(3)
    finals = {}
    for module in adapted.modules():
        if hasattr(module, "module_name"):
            values = module.sparse_delta_values["default"].data
            values += 0.1 * torch.randn(values.shape, generator=generator)
            finals[module.module_name] = values
    adapted.save_pretrained(folder)
    return finals


@pytest.mark.parametrize("density", [0.5, 0.0346])
def test_every_density_is_exact_and_signs_come_first(density: float, tmp_path) -> None:
    finals = _train(tmp_path / "adapter")
    mask = _select(
        {**SPEC, "density": density},
        tmp_path / "mask",
        previous_adapter=tmp_path / "adapter",
    )
    for name, shape in SHAPES.items():
        assert mask[name].sum() == round(density * shape.numel())
        same = initial_values("uniform", 7, name, tuple(shape)).sign() == finals[name].sign()
        left_out = same & ~mask[name]
        assert same[mask[name]].all()
        assert finals[name][mask[name]].abs().min() >= finals[name][left_out].abs().max()
    assert mask.density == pytest.approx(density, abs=1e-3)


def test_where_too_few_signs_stayed_others_fill_up(tmp_path) -> None:
    _train(tmp_path / "adapter")
    mask = _select(
        {**SPEC, "density": 0.95}, tmp_path / "mask", previous_adapter=tmp_path / "adapter"
    )
    assert mask.kept == sum(round(0.95 * shape.numel()) for shape in SHAPES.values())
    assert mask.provenance["filled_up"] > 0
    assert mask.provenance["eligible"] + mask.provenance["filled_up"] == mask.kept


def test_pruned_weights_stay_pruned_and_keep_counts_survivors(tmp_path) -> None:
    _train(tmp_path / "adapter0")
    first = _select(
        {**SPEC, "density": 0.4}, tmp_path / "mask1", previous_adapter=tmp_path / "adapter0"
    )
    _train(tmp_path / "adapter1", first)
    second = _select(
        {**SPEC, "keep": 0.8},
        tmp_path / "mask2",
        previous_adapter=tmp_path / "adapter1",
        previous_mask=tmp_path / "mask1",
    )
    assert all((first[name] | ~second[name]).all() for name in SHAPES)
    eligible = second.provenance["eligible"]
    assert second.provenance["free_before"] == first.kept
    assert 0.5 < eligible / first.kept < 1
    assert second.kept == pytest.approx(0.8 * eligible, abs=len(SHAPES))


def test_random_masks_take_the_density_of_another_arm(tmp_path) -> None:
    _train(tmp_path / "adapter")
    reference = _select(
        {**SPEC, "density": 0.1, "scope": "global"},
        tmp_path / "reference",
        previous_adapter=tmp_path / "adapter",
    )
    spec = {**SPEC, "rule": "random"}
    uniform = _select(
        {**spec, "scope": "global"}, tmp_path / "a", reference_mask=tmp_path / "reference"
    )
    matched = _select(spec, tmp_path / "b", reference_mask=tmp_path / "reference")
    other = _select(
        {**spec, "scope": "global", "seed": 8},
        tmp_path / "c",
        reference_mask=tmp_path / "reference",
    )
    assert uniform.kept == matched.kept == other.kept == reference.kept
    assert all(matched[name].sum() == reference[name].sum() for name in SHAPES)
    counts = torch.tensor([float(uniform[name].sum()) for name in SHAPES])
    sizes = torch.tensor([float(shape.numel()) for shape in SHAPES.values()])
    spread = (sizes * 0.1 * 0.9).sqrt()
    assert ((counts - 0.1 * sizes).abs() < 4 * spread).all()
    assert any(not torch.equal(uniform[name], other[name]) for name in SHAPES)


def test_weights_of_a_layer_are_ranked_together(tmp_path) -> None:
    finals = _train(tmp_path / "adapter")
    spec = {**SPEC, "rule": "large_final", "scope": "layer", "density": 0.1}
    mask = _select(spec, tmp_path / "mask", previous_adapter=tmp_path / "adapter")
    for layer in range(2):
        names = [name for name in SHAPES if f"layers.{layer}." in name]
        values = torch.cat([finals[name].flatten().abs() for name in names])
        kept = torch.cat([mask[name].flatten() for name in names])
        assert kept.sum() == round(0.1 * len(values))
        assert values[kept].min() >= values[~kept].max()


@pytest.mark.parametrize("scope", ["matrix", "layer", "global"])
def test_as_many_weights_as_lora_has_parameters(scope: str, tmp_path) -> None:
    lora = build_adapter(make_llama(), {"type": "lora", "r": 4}, 0, None)
    parameters = lora.get_nb_trainable_parameters()[0]
    spec = {**SPEC, "rule": "random", "scope": scope, "lora_rank": 4}
    last = _select({**spec, "progress": 1}, tmp_path / "last")
    assert last.kept == parameters
    if scope == "matrix":
        assert all(last[name].sum() == 4 * sum(shape) for name, shape in SHAPES.items())
    half = _select({**spec, "progress": 0.5}, tmp_path / "half")
    # Halfway there, as many times fewer than all as the last are fewer than these.
    assert half.kept**2 == pytest.approx(half.size * parameters, rel=0.01)


@pytest.mark.parametrize("rule", ["snip", "grad"])
def test_gradient_rules_rank_by_the_gradient(rule: str, tmp_path) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    mask = _select(
        {**SPEC, "rule": rule, "density": 0.05},
        tmp_path / "mask",
        gradients=lambda: gradients,
    )
    for name, shape in SHAPES.items():
        weight = initial_values("uniform", 7, name, tuple(shape)) if rule == "snip" else 1.0
        score = (gradients[name] * weight).abs().flatten()
        best = score.topk(round(0.05 * shape.numel())).indices
        assert mask[name].flatten()[best].all()


def test_an_adapter_that_does_not_fit_its_mask_is_named(tmp_path) -> None:
    _train(tmp_path / "adapter0")
    mask = _select(
        {**SPEC, "density": 0.4}, tmp_path / "mask1", previous_adapter=tmp_path / "adapter0"
    )
    _train(tmp_path / "adapter1", mask)
    spec = {**SPEC, "density": 0.1}
    with pytest.raises(FileError, match="does not fit its mask"):
        _select(spec, tmp_path / "m", previous_adapter=tmp_path / "adapter1")
    (tmp_path / "adapter1" / "adapter_model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FileError, match="is corrupt"):
        _select(spec, tmp_path / "m", previous_adapter=tmp_path / "adapter1")
