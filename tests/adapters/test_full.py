"""Full fine-tuning against plain torch on the same model: losses, ties, merged, saved, counted."""

import warnings

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from rigsa.adapters.full import FullConfig, FullLayer
from rigsa.machine import Machine
from rigsa.models.loading import load_checkpoint
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))


def _model(tied: bool = True, bias: bool = False) -> LlamaForCausalLM:
    if tied and not bias:
        return make_llama()
    torch.manual_seed(0)
    shape = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    more = {"num_attention_heads": 4, "tie_word_embeddings": tied, "attention_bias": bias}
    return LlamaForCausalLM(LlamaConfig(**shape, **more)).requires_grad_(False)


def _trained(model: torch.nn.Module, steps: int = 4) -> list[float]:
    """Losses of a few steps on all that is free."""
    free = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=1e-2, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        loss = model(input_ids=TOKENS, labels=TOKENS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.fixture
def adapted() -> PeftModel:
    """A tied model that has learnt something."""
    model = get_peft_model(make_llama(), FullConfig())
    _trained(model)
    return model


@pytest.mark.parametrize(("tied", "bias"), [(True, False), (False, True)])
def test_it_learns_as_plain_torch_does(tied: bool, bias: bool) -> None:
    plain = _model(tied, bias).requires_grad_(True)
    adapted = get_peft_model(_model(tied, bias), FullConfig())
    expected = _trained(plain)
    assert expected[-1] < 0.9 * expected[0]
    assert _trained(adapted) == pytest.approx(expected, rel=1e-5)
    merged = adapted.merge_and_unload().state_dict()
    base = _model(tied, bias).state_dict()
    for name, weight in plain.state_dict().items():
        torch.testing.assert_close(merged[name], weight, rtol=1e-3, atol=1e-4)
        assert not torch.equal(weight, base[name])


@pytest.mark.parametrize(("tied", "bias"), [(True, False), (False, True)])
def test_every_weight_is_free_once(tied: bool, bias: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        adapted = get_peft_model(_model(tied, bias), FullConfig())
    free = sum(value.numel() for value in adapted.parameters() if value.requires_grad)
    assert free == _model(tied, bias).num_parameters()
    assert torch.equal(adapted(TOKENS).logits, _model(tied, bias)(TOKENS).logits)


def test_head_and_embedding_have_one_delta(adapted) -> None:
    model = adapted.get_base_model()
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    assert isinstance(head, FullLayer)
    assert head.delta("default", "weight") is embedding.full_delta_weight["default"]
    before = model(TOKENS).logits
    with torch.no_grad():
        # Of a token that is not in the text: what changes is its logit alone.
        absent = next(token for token in range(64) if token not in TOKENS)
        embedding.full_delta_weight["default"][absent] += 1.0
    changed = (model(TOKENS).logits != before).any(dim=(0, 1)).nonzero().flatten()
    assert changed.tolist() == [absent]


def test_saved_it_is_the_same_and_merged_still_tied(adapted, tmp_path) -> None:
    logits = adapted(TOKENS).logits
    make_llama().save_pretrained(tmp_path / "base")
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    loaded = PeftModel.from_pretrained(make_llama(), tmp_path / "adapter")
    assert torch.equal(loaded(TOKENS).logits, logits)
    with loaded.disable_adapter():
        assert torch.equal(loaded(TOKENS).logits, make_llama()(TOKENS).logits)
    merged = load_checkpoint(tmp_path / "base", tmp_path / "adapter", Machine(), None)
    assert torch.equal(merged(TOKENS).logits, logits)
    merged.save_pretrained(tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert again.config.tie_word_embeddings
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert torch.equal(again(TOKENS).logits, logits)


def test_merged_and_unmerged(adapted) -> None:
    logits = adapted(TOKENS).logits
    adapted.merge_adapter()
    assert torch.equal(adapted(TOKENS).logits, logits)
    adapted.unmerge_adapter()
    torch.testing.assert_close(adapted(TOKENS).logits, logits)


def test_two_adapters_switch(adapted) -> None:
    logits = adapted(TOKENS).logits
    adapted.add_adapter("other", FullConfig(target_modules=["norm", "q_proj"], dtype="bfloat16"))
    assert torch.equal(adapted(TOKENS).logits, logits)
    adapted.set_adapter("other")
    assert torch.equal(adapted(TOKENS).logits, make_llama()(TOKENS).logits)
    first, *_, last = _trained(adapted)
    assert last < first
    adapted.set_adapter("default")
    assert torch.equal(adapted(TOKENS).logits, logits)


def test_what_is_no_plain_weight_is_refused() -> None:
    model = make_llama()
    model.model.norm.register_parameter("scale", torch.nn.Parameter(torch.ones(1)))
    with pytest.raises(ValueError, match=r"model\.norm is a LlamaRMSNorm, whose weights cannot be"):
        get_peft_model(model, FullConfig())
