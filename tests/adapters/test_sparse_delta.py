"""The adapter against W0 + α·ΔW·mask written out plainly: forward, backward, merged, saved."""

import pytest
import torch
from peft import PeftModel, get_peft_model

from rigsa.adapters.build import linear_shapes
from rigsa.adapters.sparse_delta import SparseDeltaConfig, SparseDeltaLayer
from rigsa.adapters.sparse_delta.function import SparseDeltaLinear
from rigsa.errors import FileError
from rigsa.initial_values import initial_values
from rigsa.masks.storage import Mask
from rigsa.models.loading import load_adapter
from rigsa.training.log import layer_statistics
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))
DENSITIES = [None, 0.5, 0.03]
GATES = ["matrix", "layer", "global", "none"]


def _mask(model: torch.nn.Module, density: float | None) -> Mask | None:
    if density is None:
        return None
    generator = torch.Generator().manual_seed(2)
    shapes = linear_shapes(model)
    return Mask({n: torch.rand(s, generator=generator) < density for n, s in shapes.items()})


def _adapted(density: float | None, gate: str = "matrix", init: str = "uniform") -> PeftModel:
    model = make_llama()
    config = SparseDeltaConfig(
        init=init, gate=gate, gate_init=0.7, seed=5, mask=_mask(model, density)
    )
    return get_peft_model(model, config)


def _plain_model(density: float | None, gate_value: float, init: str = "uniform"):
    """The same by hand: every weight replaced by W0 + α·ΔW·mask, with gradients."""
    model = make_llama()
    mask = _mask(model, density)
    deltas = {}
    for name, shape in linear_shapes(model).items():
        delta = initial_values(init, 5, name, tuple(shape))
        if mask is not None:
            delta = delta * mask[name]
        deltas[name] = delta.requires_grad_()
        module = model.get_submodule(name)
        weight = module.weight.detach()
        del module.weight
        module.weight = weight + gate_value * deltas[name]
    return model, deltas


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("gate", GATES)
def test_forward_and_backward_are_those_of_the_plain_model(density, gate: str) -> None:
    adapted = _adapted(density, gate)
    plain, deltas = _plain_model(density, 1.0 if gate == "none" else 0.7)
    logits, wanted = adapted(TOKENS).logits, plain(TOKENS).logits
    torch.testing.assert_close(logits, wanted)
    logits.square().mean().backward()
    wanted.square().mean().backward()
    mask = _mask(make_llama(), density)
    gate_gradients: dict[int, list] = {}
    for layer in adapted.modules():
        if not isinstance(layer, SparseDeltaLayer):
            continue
        values, alpha, _ = layer.parts("default")
        gradient = deltas[layer.module_name].grad
        free = gradient if mask is None else gradient[mask[layer.module_name]]
        torch.testing.assert_close(values.grad, free, atol=1e-8, rtol=1e-4)
        if alpha is not None:
            # dL/dα = Σ dL/dW·ΔW, and dL/dΔW = α·dL/dW.
            part = (gradient / 0.7 * deltas[layer.module_name]).sum()
            found = gate_gradients.setdefault(id(alpha), [alpha, 0.0])
            found[1] = found[1] + part
    assert len(gate_gradients) == {"matrix": 14, "layer": 2, "global": 1, "none": 0}[gate]
    for alpha, total in gate_gradients.values():
        torch.testing.assert_close(alpha.grad, total.reshape(1), atol=1e-7, rtol=1e-3)


def test_gradients_pass_gradcheck() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    weight = draw(4, 5).detach()
    places = torch.tensor([0, 3, 7, 19], dtype=torch.int32)
    x, gate = draw(2, 3, 5), draw(1)
    assert torch.autograd.gradcheck(SparseDeltaLinear.apply, (x, weight, draw(4, 5), gate, None))
    assert torch.autograd.gradcheck(SparseDeltaLinear.apply, (x, weight, draw(4), gate, places))
    assert torch.autograd.gradcheck(SparseDeltaLinear.apply, (x, weight, draw(4), None, places))


@pytest.mark.parametrize("density", DENSITIES)
def test_an_error_in_mid_turn_leaves_the_base_as_it_was(density, monkeypatch) -> None:
    adapted = _adapted(density)
    layers = [m for m in adapted.modules() if isinstance(m, SparseDeltaLayer)]
    before = [layer.base_layer.weight.clone() for layer in layers]

    def full(*args):
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.functional, "linear", full)
        with pytest.raises(torch.OutOfMemoryError):
            adapted(TOKENS)
    adapted(TOKENS).logits.sum().backward()
    for layer, weight in zip(layers, before, strict=True):
        assert torch.equal(layer.base_layer.weight, weight)


@pytest.mark.parametrize("density", [None, 0.5, 0.03])
def test_values_in_bfloat16_are_added_in_the_wider_dtype(density, tmp_path) -> None:
    """And they are saved, loaded and given gradients as they are."""
    model = make_llama()
    config = SparseDeltaConfig(gate_init=0.7, seed=5, dtype="bfloat16", mask=_mask(model, density))
    adapted = get_peft_model(model, config)
    layer = adapted.base_model.model.model.layers[0].mlp.up_proj
    assert layer.sparse_delta_values["default"].dtype == torch.bfloat16
    exact = layer.base_layer.weight + layer.get_delta_weight("default")
    logits = adapted(TOKENS).logits
    logits.sum().backward()
    assert layer.sparse_delta_values["default"].grad.dtype == torch.bfloat16
    assert layer.sparse_delta_gate["default"].grad.dtype == torch.float32
    adapted.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(make_llama(), tmp_path)
    assert torch.equal(loaded(TOKENS).logits, logits)
    merged = adapted.merge_and_unload()
    torch.testing.assert_close(merged.model.layers[0].mlp.up_proj.weight, exact)


def test_only_the_adapter_is_trained_and_only_kept_weights_are_stored() -> None:
    adapted = _adapted(0.03)
    kept = _mask(make_llama(), 0.03).kept
    trainable = {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    assert all("sparse_delta_" in name for name in trainable)
    assert sum(p.numel() for p in trainable.values()) == kept + 14


def test_disabled_it_is_the_base() -> None:
    base = make_llama()(TOKENS).logits
    adapted = _adapted(0.5)
    with adapted.disable_adapter():
        assert torch.equal(adapted(TOKENS).logits, base)
    assert not torch.allclose(adapted(TOKENS).logits, base)


@pytest.mark.parametrize("density", DENSITIES)
def test_merged_it_gives_the_same_and_unmerged_the_base_again(density) -> None:
    adapted = _adapted(density)
    before = adapted(TOKENS).logits
    adapted.merge_adapter()
    torch.testing.assert_close(adapted(TOKENS).logits, before)
    adapted.unmerge_adapter()
    torch.testing.assert_close(adapted(TOKENS).logits, before)
    weight = adapted.get_submodule("base_model.model.model.layers.0.mlp.up_proj").base_layer.weight
    original = make_llama().get_submodule("model.layers.0.mlp.up_proj").weight
    torch.testing.assert_close(weight, original)
    merged = adapted.merge_and_unload()
    assert not any(isinstance(module, SparseDeltaLayer) for module in merged.modules())
    torch.testing.assert_close(merged(TOKENS).logits, before)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("gate", GATES)
def test_saved_and_loaded_it_is_the_same(density, gate: str, tmp_path) -> None:
    adapted = _adapted(density, gate)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    adapted.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(make_llama(), tmp_path)
    assert torch.equal(loaded(TOKENS).logits, adapted(TOKENS).logits)
    continued = PeftModel.from_pretrained(make_llama(), tmp_path, is_trainable=True)
    continued(TOKENS).logits.mean().backward()
    assert all(p.grad is not None for p in continued.parameters() if p.requires_grad)


def test_zero_init_starts_at_the_base() -> None:
    adapted = _adapted(None, "none", init="zero")
    assert torch.equal(adapted(TOKENS).logits, make_llama()(TOKENS).logits)


def test_two_adapters_switch(tmp_path) -> None:
    adapted = _adapted(0.5)
    first = adapted(TOKENS).logits
    adapted.add_adapter(
        "other", SparseDeltaConfig(target_modules=["q_proj"], gate_init=0.3, seed=9)
    )
    assert torch.equal(adapted(TOKENS).logits, first)
    adapted.set_adapter("other")
    assert not torch.allclose(adapted(TOKENS).logits, first)
    adapted.set_adapter("default")
    assert torch.equal(adapted(TOKENS).logits, first)


def test_statistics_count_signs() -> None:
    adapted = _adapted(0.5)
    layer = next(m for m in adapted.modules() if isinstance(m, SparseDeltaLayer))
    assert layer.training_statistics()["sign_kept"] == 1.0
    values, gate, _ = layer.parts("default")
    with torch.no_grad():
        values[: len(values) // 4].neg_()
        gate.fill_(-0.25)
    found = layer.training_statistics()
    assert found["sign_kept"] == pytest.approx(1 - (len(values) // 4) / len(values))
    assert found["gate"] == -0.25
    assert found["density"] == pytest.approx(values.numel() / (32 * 32))


def test_a_matrix_without_a_free_weight_says_nothing_of_signs() -> None:
    """As a mask may leave one that ranks all matrices together."""
    model = make_llama()
    shapes = linear_shapes(model)
    empty = next(iter(shapes))
    mask = Mask({name: torch.full(shape, name != empty) for name, shape in shapes.items()})
    adapted = get_peft_model(model, SparseDeltaConfig(gate_init=0.7, seed=5, mask=mask))
    adapted(TOKENS).logits.sum().backward()
    found = layer_statistics(adapted)
    assert found["sign_kept"] == 1.0
    assert found["layers"][empty]["density"] == 0
    assert found["layers"][empty]["sign_kept"] is None


def test_a_corrupt_adapter_is_named(tmp_path) -> None:
    _adapted(0.5).save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FileError, match=r"adapter_model\.safetensors is corrupt"):
        load_adapter(make_llama(), tmp_path)


def test_layers_that_are_not_linear_are_refused() -> None:
    with pytest.raises(ValueError, match="goes only on"):
        get_peft_model(make_llama(), SparseDeltaConfig(target_modules=["embed_tokens"]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("density", DENSITIES)
def test_a_gpu_gives_what_the_processor_gives(density) -> None:
    here, there = _adapted(density), _adapted(density).to("cuda")
    logits, wanted = there(TOKENS.cuda()).logits, here(TOKENS).logits
    torch.testing.assert_close(logits.cpu(), wanted, rtol=1e-4, atol=1e-4)
    logits.sum().backward()
    wanted.sum().backward()
    for (name, found), expected in zip(there.named_parameters(), here.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(
                found.grad.cpu(), expected.grad, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: n + m
            )
