"""SHiRA as PEFT has it and as a study line of sparse delta: the same training."""

import pytest
import torch
from peft import PeftModel

from rigsa.adapters.build import build_adapter
from rigsa.masks.storage import Mask
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (4, 12), generator=torch.Generator().manual_seed(1))
SHIRA = {"type": "shira", "r": 2}
STEPS = 5


def _layers(model: PeftModel) -> dict[str, torch.nn.Module]:
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def _places(model: PeftModel) -> dict[str, torch.Tensor]:
    found = {}
    for name, layer in _layers(model).items():
        rows, columns = layer.shira_indices["default"].long()
        found[name] = torch.zeros(layer.out_features, layer.in_features, dtype=torch.bool)
        found[name][rows, columns] = True
    return found


def _trained(model: PeftModel) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of a few steps, and every ΔW after them."""
    free = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=1e-2, weight_decay=0.1)
    losses = []
    for _ in range(STEPS):
        loss = model(input_ids=TOKENS, labels=TOKENS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    with torch.no_grad():
        deltas = {name: layer.get_delta_weight("default") for name, layer in _layers(model).items()}
    return losses, {name: d.to_dense() if d.is_sparse else d for name, d in deltas.items()}


def test_the_same_mask_gives_the_same_training() -> None:
    shira = build_adapter(make_llama(), SHIRA, 3, None)
    mask = Mask(_places(shira))
    line = {"type": "sparse_delta", "init": "zero", "gate": "none"}
    sparse = build_adapter(make_llama(), line, 3, mask)
    expected, found = _trained(shira), _trained(sparse)
    assert expected[0][-1] < expected[0][0]
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    for name, delta in expected[1].items():
        assert torch.equal(delta != 0, mask[name])
        # Adam's first steps are the sign of the gradient, which rounding may turn where it is 0.
        torch.testing.assert_close(found[1][name], delta, rtol=1e-4, atol=1e-6)


def test_it_has_as_many_weights_as_lora_of_its_rank_and_a_mask_for_each_seed() -> None:
    first, again, other = (build_adapter(make_llama(), SHIRA, seed, None) for seed in (3, 3, 4))
    lora = build_adapter(make_llama(), {"type": "lora", "r": 2}, 3, None)
    assert first.get_nb_trainable_parameters()[0] == lora.get_nb_trainable_parameters()[0]
    places, same, others = _places(first), _places(again), _places(other)
    assert all(torch.equal(places[name], same[name]) for name in places)
    assert not any(torch.equal(places[name], others[name]) for name in places)
