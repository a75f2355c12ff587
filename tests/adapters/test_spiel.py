"""SpIEL on a model: what it measures, that its places move, what is saved."""

import pytest
import torch
from peft import PeftModel, get_peft_model

from rigsa.adapters.build import linear_shapes
from rigsa.adapters.sparse_delta import SparseDeltaConfig
from rigsa.adapters.spiel import SpielConfig
from rigsa.masks.storage import Mask
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))
DENSITY = 0.1


def _mask(model: torch.nn.Module) -> Mask:
    generator = torch.Generator().manual_seed(2)
    shapes = linear_shapes(model)
    return Mask({n: torch.rand(s, generator=generator) < DENSITY for n, s in shapes.items()})


def _adapted(**options) -> PeftModel:
    model = make_llama()
    return get_peft_model(model, SpielConfig(mask=_mask(model), **options))


def _backward(model: torch.nn.Module) -> None:
    for rows in TOKENS.split(1):
        model(rows).logits.square().mean().backward()


@pytest.mark.parametrize("recompute", [False, True])
def test_it_measures_the_gradient_of_the_weight(recompute: bool) -> None:
    """Of all passes; of the whole matrix first, and then where it was largest."""
    plain, adapted = make_llama().requires_grad_(), _adapted()
    if recompute:
        adapted.gradient_checkpointing_enable({"use_reentrant": False})
        adapted.train()
    _backward(plain)
    optimizer = torch.optim.SGD(adapted.parameters())
    layers = {layer.module_name: layer for _, layer, _ in adapted.base_model._layers()}
    for step in range(2):
        measured = adapted.before_step(step, 100)
        _backward(adapted)
        assert len(measured) == len(layers) == 14
        for zeros, (name, layer) in zip(measured, layers.items(), strict=True):
            gradient = plain.get_submodule(name).weight.grad
            candidates = adapted.base_model.candidates.get(name)
            if step == 1:
                gradient = gradient.view(-1)[candidates.places]
            torch.testing.assert_close(zeros.grad, gradient, rtol=1e-4, atol=1e-8)
            assert layer.wanted is not None
        adapted.after_step(step, 100, optimizer)
    for name, layer in layers.items():
        gradient = plain.get_submodule(name).weight.grad.view(-1)
        candidates = adapted.base_model.candidates[name]
        count = layer.places["default"].numel()
        there = gradient.abs().topk(count).indices.sort().values
        assert candidates.places.tolist() == there.tolist()
        torch.testing.assert_close(candidates.sums, 2 * gradient[there], rtol=1e-4, atol=1e-8)
        assert layer.wanted is None


def test_to_measure_changes_nothing_else() -> None:
    alone, measured = _adapted(), _adapted()
    measured.before_step(0, 100)
    for model in (alone, measured):
        _backward(model)
    assert torch.equal(alone(TOKENS).logits, measured(TOKENS).logits)
    for mine, other in zip(alone.parameters(), measured.parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None)
        if mine.grad is not None:
            assert torch.equal(mine.grad, other.grad)


def _trained(steps: int, **options) -> tuple[PeftModel, torch.optim.Optimizer]:
    model = _adapted(**options)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(steps):
        model.before_step(step, steps)
        _backward(model)
        optimizer.step()
        optimizer.zero_grad()
        model.after_step(step, steps, optimizer)
    return model, optimizer


def test_as_many_weights_at_other_places() -> None:
    start, (model, optimizer) = _adapted(), _trained(8, every=4, gather=2)
    moved = 0
    for (_, before, old), (_, after, new) in zip(
        start.base_model._layers(), model.base_model._layers(), strict=True
    ):
        assert old.numel() == new.numel() == after.parts("default")[0].numel()
        assert (new.diff() > 0).all()
        assert before.module_name == after.module_name
        moved += int((~torch.isin(new, old)).sum())
    assert moved > 0.5 * sum(places.numel() for _, _, places in start.base_model._layers())
    assert all(state["step"] == 8 for state in optimizer.state.values())


def test_what_is_saved_is_a_sparse_delta(tmp_path) -> None:
    model, _ = _trained(8, every=4, gather=2)
    logits = model(TOKENS).logits
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_llama(), tmp_path)
    config = again.peft_config["default"]
    assert (type(config), config.every, config.gather) == (SpielConfig, 4, 2)
    assert torch.equal(again(TOKENS).logits, logits)
    torch.testing.assert_close(again.merge_and_unload()(TOKENS).logits, logits)
    # With the same tensors as a sparse delta of that mask.
    places = {
        name: torch.isin(torch.arange(layer.shape[0] * layer.shape[1]), there).view(layer.shape)
        for name, layer, there in model.base_model._layers()
    }
    config = SparseDeltaConfig(init="zero", gate="none", mask=Mask(places))
    delta = get_peft_model(make_llama(), config)
    own, other = (m.base_model._get_adapter_state_dict for m in (model, delta))
    own, other = (
        get(m, m.peft_config["default"], "default", m.state_dict(), [])
        for get, m in ((own, model), (other, delta))
    )
    assert own.keys() == other.keys()
    masks = [name for name in own if "mask" in name]
    assert len(masks) == 14
    assert all(torch.equal(own[name], other[name]) for name in masks)


def test_a_saved_state_holds_places_and_candidates() -> None:
    # The first in which gradients are gathered since places have moved.
    (model, _), again = _trained(8, every=4, gather=2), _adapted(every=4, gather=2)
    model.before_step(0, 20)
    _backward(model)
    model.after_step(0, 20, torch.optim.SGD(model.parameters()))
    state = {name: tensor.clone() for name, tensor in model.training_state().items()}
    assert len(state) == 14 * 5
    again.load_training_state(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.training_state().items())
    assert again.training_state().keys() == state.keys()


def test_it_refuses_what_it_is_not() -> None:
    for options, said in (
        ({"init": "uniform"}, "init is 'uniform'; in SpIEL it is 'zero'"),
        ({"gate": "matrix"}, "gate is 'matrix'; in SpIEL it is 'none'"),
        ({"gather": 21}, "gather is 21; it must be at least 1 and at most every, 20"),
        ({"share": 2}, "share is 2; it must be at least 0 and at most 1"),
    ):
        with pytest.raises(ValueError, match=said):
            SpielConfig(**options)
