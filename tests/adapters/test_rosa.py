"""RoSA against its parts: PEFT's LoRA where its mask is empty, a sparse delta without B·A."""

import math

import pytest
import torch
from peft import PeftModel

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.adapters.rosa import RosaLayer
from rigsa.masks.storage import Mask
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (4, 12), generator=torch.Generator().manual_seed(1))
ROSA = {"type": "rosa", "r": 2, "lora_alpha": 6}
SPARSE = {"type": "sparse_delta", "init": "zero", "gate": "none"}
STEPS = 5


def _mask(density: float) -> Mask:
    generator = torch.Generator().manual_seed(2)
    shapes = linear_shapes(make_llama())
    return Mask({n: torch.rand(s, generator=generator) < density for n, s in shapes.items()})


def _rosa(density: float = 0.05, dtype: torch.dtype = torch.float32, **options) -> PeftModel:
    return build_adapter(make_llama().to(dtype), {**ROSA, **options}, 3, _mask(density))


def _moved(model: PeftModel) -> PeftModel:
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def _layers(model: PeftModel) -> dict[str, torch.nn.Module]:
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def _trained(model: PeftModel) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of a few steps, and every matrix's change after them."""
    free = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=1e-2, weight_decay=0.1)
    torch.manual_seed(0)
    model.train()
    losses = []
    for _ in range(STEPS):
        loss = model(input_ids=TOKENS, labels=TOKENS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    with torch.no_grad():
        deltas = {name: layer.get_delta_weight("default") for name, layer in _layers(model).items()}
    return losses, deltas


@pytest.mark.parametrize("options", [{}, {"lora_dropout": 0.3}, {"use_rslora": True}])
def test_with_an_empty_mask_it_is_lora(options: dict) -> None:
    lora = build_adapter(make_llama(), {**ROSA, **options, "type": "lora"}, 3, None)
    rosa = _rosa(0, **options)
    with torch.no_grad():
        for name, layer in _layers(lora).items():
            layer.lora_A["default"].weight.copy_(_layers(rosa)[name].rosa_A["default"])
    expected, found = _trained(lora), _trained(rosa)
    assert expected[0][-1] < expected[0][0]
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    for name, delta in expected[1].items():
        torch.testing.assert_close(found[1][name], delta, rtol=1e-4, atol=1e-6)


def test_without_a_low_rank_part_it_is_a_sparse_delta() -> None:
    rosa = _rosa()
    for name, parameter in rosa.named_parameters():
        if "rosa_" in name:
            parameter.requires_grad_(False)
    expected = _trained(build_adapter(make_llama(), SPARSE, 3, _mask(0.05)))
    found = _trained(rosa)
    assert found[0] == expected[0]
    for name, delta in expected[1].items():
        assert delta.any()
        assert torch.equal(found[1][name], delta)


def test_it_is_the_base_with_both_parts_in_its_weights() -> None:
    rosa, plain = _moved(_rosa()), make_llama()
    for name, layer in _layers(rosa).items():
        product = layer.rosa_B["default"] @ layer.rosa_A["default"]
        delta = torch.zeros(layer.shape)
        delta[_mask(0.05)[name]] = layer.sparse_delta_values["default"]
        plain.get_submodule(name).weight.data += 6 / 2 * product.detach() + delta
    torch.testing.assert_close(rosa(TOKENS).logits, plain(TOKENS).logits)
    for name, weight in rosa.merge_and_unload().state_dict().items():
        torch.testing.assert_close(weight, plain.state_dict()[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_starts_as_the_base_and_can_be_switched_off(dtype: torch.dtype) -> None:
    base, rosa = make_llama().to(dtype)(TOKENS).logits, _rosa(dtype=dtype)
    assert torch.equal(rosa(TOKENS).logits, base)
    assert not torch.equal(_moved(rosa)(TOKENS).logits, base)
    with rosa.disable_adapter():
        assert torch.equal(rosa(TOKENS).logits, base)
    assert {p.dtype for p in rosa.parameters() if p.requires_grad} == {torch.float32}


def test_merged_it_is_rounded_once_and_unmerged_the_base_again() -> None:
    rosa = _moved(_rosa(dtype=torch.bfloat16))
    layer = _layers(rosa)["model.layers.0.mlp.up_proj"]
    before = layer.base_layer.weight.clone()
    wanted = (before.float() + layer.get_delta_weight("default")).to(torch.bfloat16)
    rosa.merge_adapter()
    assert torch.equal(layer.base_layer.weight, wanted)
    rosa.unmerge_adapter()
    torch.testing.assert_close(layer.base_layer.weight, before, rtol=0, atol=1e-3)


def test_saved_and_loaded_it_is_the_same(tmp_path) -> None:
    rosa = _moved(_rosa(use_rslora=True))
    rosa.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(make_llama(), tmp_path)
    assert torch.equal(loaded(TOKENS).logits, rosa(TOKENS).logits)
    continued = PeftModel.from_pretrained(make_llama(), tmp_path, is_trainable=True)
    assert _trained(continued)[0] == _trained(rosa)[0]


def test_the_seed_alone_decides_where_it_begins() -> None:
    torch.manual_seed(7)
    first = _layers(_rosa())["model.layers.0.mlp.up_proj"]
    torch.manual_seed(8)
    second = _layers(_rosa())["model.layers.0.mlp.up_proj"]
    a = first.rosa_A["default"]
    assert torch.equal(a, second.rosa_A["default"])
    assert 0.9 / math.sqrt(32) < a.abs().max() <= 1 / math.sqrt(32)
    assert not torch.equal(a, _layers(_rosa())["model.layers.0.mlp.gate_proj"].rosa_A["default"])


def test_values_are_those_of_both_parts() -> None:
    rosa = _rosa()
    lora = build_adapter(make_llama(), {"type": "lora", "r": 2}, 3, None)
    low_rank = lora.get_nb_trainable_parameters()[0]
    assert rosa.get_nb_trainable_parameters()[0] == low_rank + _mask(0.05).kept
    statistics = next(m for m in rosa.modules() if isinstance(m, RosaLayer)).training_statistics()
    assert 0.03 < statistics["density"] < 0.07
    assert statistics["sign_kept"] is None
    assert statistics["gate"] is None
