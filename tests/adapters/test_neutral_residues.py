"""The adapter against its formula written out plainly: start, gradients, penalty, saved."""

import pytest
import torch
from peft import PeftModel, get_peft_model

from rigsa.adapters.neutral_residues import NeutralResiduesConfig, NeutralResiduesLayer
from rigsa.adapters.residue_width import residue_width
from rigsa.models.loading import load_adapter
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))
# One row of the original domain with eight tokens; two of its places are padding.
ORIGINAL = torch.tensor([[0.0] * 10, [1 / 8] * 8 + [0.0] * 2])


def _adapted(started: bool = True, **options) -> PeftModel:
    """With W_o as after some training, where not `started`."""
    adapted = get_peft_model(make_llama(), NeutralResiduesConfig(width=6, seed=5, **options))
    if not started:
        generator = torch.Generator().manual_seed(3)
        for layer in _layers(adapted):
            out = layer.neutral_residues_out["default"]
            out.data = torch.randn(out.shape, generator=generator)
    return adapted


def _layers(adapted: PeftModel) -> list[NeutralResiduesLayer]:
    return [m for m in adapted.modules() if isinstance(m, NeutralResiduesLayer)]


def _by_hand(layer: NeutralResiduesLayer, x: torch.Tensor) -> torch.Tensor:
    w = {name[17:]: getattr(layer, name)["default"] for name in layer.adapter_layer_names}
    gate = torch.clamp(x @ w["block"].t() + w["bias"], min=0)
    gated = x @ w["gate"].t()
    return gate * ((gated * torch.sigmoid(gated) * (x @ w["in"].t())) @ w["out"].t())


def test_it_starts_at_the_base_to_the_bit() -> None:
    base, adapted = make_llama(), _adapted()
    assert len(_layers(adapted)) == base.config.num_hidden_layers
    assert torch.equal(adapted(TOKENS).logits, base(TOKENS).logits)
    trainable = {n for n, p in adapted.named_parameters() if p.requires_grad}
    assert all("neutral_residues_" in name for name in trainable)


def test_a_block_gives_what_the_formula_says() -> None:
    adapted = _adapted(started=False)
    layer = _layers(adapted)[0]
    x = torch.randn(2, 3, adapted.config.hidden_size)
    added = _by_hand(layer, x)
    assert (added != 0).any()
    torch.testing.assert_close(layer(x), layer.base_layer(x) + added)
    assert not torch.equal(adapted(TOKENS).logits, make_llama()(TOKENS).logits)
    with adapted.disable_adapter():
        assert torch.equal(adapted(TOKENS).logits, make_llama()(TOKENS).logits)


def test_all_parts_learn_from_the_second_step_on() -> None:
    """In the first one only W_o does: all else is behind its zeros."""
    adapted = _adapted()
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        adapted(TOKENS, labels=TOKENS).loss.backward()
        gradients = {n: p.grad for n, p in adapted.named_parameters() if p.requires_grad}
        optimizer.step()
    assert len(gradients) == 5 * len(_layers(adapted))
    for name, gradient in gradients.items():
        assert (gradient != 0).any(), name


def test_initial_values_follow_from_seed_and_name() -> None:
    one, other, again = (
        _adapted(),
        _adapted(),
        get_peft_model(make_llama(), NeutralResiduesConfig(width=6, seed=6)),
    )
    first, second = (layer.neutral_residues_in["default"] for layer in _layers(one)[:2])
    assert torch.equal(first, _layers(other)[0].neutral_residues_in["default"])
    assert not torch.equal(first, _layers(again)[0].neutral_residues_in["default"])
    assert not torch.equal(first, second)
    wide = get_peft_model(make_llama(), NeutralResiduesConfig(width=2000))
    layer, config = _layers(wide)[0], wide.config
    wanted = 1 / (config.hidden_size * config.num_hidden_layers)
    for part in (layer.neutral_residues_in, layer.neutral_residues_gate):
        assert part["default"].var().item() == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("recompute", [False, True])
def test_the_penalty_is_the_formula_on_original_tokens_alone(recompute: bool) -> None:
    adapted = _adapted(started=False, coefficient=0.3)
    seen = {}
    for place, layer in enumerate(_layers(adapted)):
        layer.base_layer.register_forward_pre_hook(
            lambda module, given, place=place: seen.__setitem__(place, given[0])
        )
    adapted.train()
    if recompute:
        adapted.gradient_checkpointing_enable({"use_reentrant": False})
    with adapted.extra_loss({"original": ORIGINAL}) as extra:
        adapted(TOKENS)
        penalty = extra()
        penalty.backward()
    adapted.eval()  # Then nothing is recomputed, and this pass's graph is whole.
    adapted(TOKENS)
    marked = ORIGINAL > 0
    outputs = [_by_hand(layer, seen[place])[marked] for place, layer in enumerate(_layers(adapted))]
    hidden = adapted.config.hidden_size
    norms = [output.abs().sum(dim=-1) / hidden for output in outputs]
    wanted = 0.3 * sum(n.mean() for n in norms) / len(norms)
    torch.testing.assert_close(penalty, wanted)
    gradients = torch.autograd.grad(
        wanted, [layer.neutral_residues_out["default"] for layer in _layers(adapted)]
    )
    for layer, gradient in zip(_layers(adapted), gradients, strict=True):
        torch.testing.assert_close(layer.neutral_residues_out["default"].grad, gradient)
        assert layer.measuring is None


def test_without_original_rows_there_is_no_penalty() -> None:
    adapted = _adapted(started=False)
    with adapted.extra_loss({}) as extra:
        adapted(TOKENS)
        assert extra() == 0


def test_saved_and_loaded_it_is_the_same(tmp_path) -> None:
    adapted = _adapted(started=False)
    adapted.save_pretrained(tmp_path)
    for load in (PeftModel.from_pretrained, load_adapter):
        loaded = load(make_llama(), tmp_path)
        assert torch.equal(loaded(TOKENS).logits, adapted(TOKENS).logits)


def test_it_is_not_merged() -> None:
    with pytest.raises(ValueError, match="cannot be merged into the base model's weights; use"):
        _adapted().merge_and_unload()


def test_twenty_per_cent_of_smollm2() -> None:
    width = residue_width(1_711_376_384, layers=24, hidden=2048)
    assert width == 2304
    assert 24 * 3 * width * 2048 == 339_738_624
    # Less than a piece of 64 stays as it is.
    assert residue_width(100_000, layers=2, hidden=64) == 52


def test_the_default_width_is_of_the_base_and_kept(tmp_path) -> None:
    base = make_llama()
    width = residue_width(base.num_parameters(), 2, base.config.hidden_size)
    adapted = get_peft_model(base, NeutralResiduesConfig())
    assert _layers(adapted)[0].neutral_residues_in["default"].shape[0] == width
    adapted.save_pretrained(tmp_path)
    assert NeutralResiduesConfig.from_pretrained(tmp_path).width == width


@pytest.mark.parametrize("options", [{"width": 0}, {"share": 0}, {"coefficient": -1}])
def test_settings_that_cannot_be(options) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*; it must be"):
        NeutralResiduesConfig(**options)
