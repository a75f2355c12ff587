"""Reading the common beginning once changes no answer, however long the rest of each item is."""

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from rigsa.evaluation import language_model
from rigsa.evaluation.batching import BatchSize
from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.language_model import InMemoryLM
from rigsa.evaluation.shared_prefix import common_length, read_prefix
from tests.conftest import make_llama

BEGINNING = "Question: There are 3 boxes with 4 pens in each box. How many pens? Answer: 12\n" * 3
ITEMS = ["A box", "There are 12 boxes with 2 pens in each of them", "Pens and boxes", "12"]


@pytest.fixture
def read(monkeypatch):
    """Lengths of the beginnings that were read once; any length is worth it here."""
    lengths = []

    def reading(model, tokens):
        lengths.append(len(tokens))
        return read_prefix(model, tokens)

    monkeypatch.setattr(language_model, "SHORTEST", 1)
    monkeypatch.setattr(language_model, "read_prefix", reading)
    return lengths


def generation(until, **settings):
    kwargs = {"until": until, "do_sample": False, **settings}
    return [
        Instance("generate_until", {}, (f"{BEGINNING}{item}", kwargs), place)
        for place, item in enumerate(ITEMS)
    ]


@pytest.mark.parametrize("longest", [1, 12])
@pytest.mark.parametrize("until", [["<|im_end|>"], ["the", "\n"]])
@pytest.mark.parametrize("batch", [1, 3])
def test_generates_the_same_tokens_as_lm_eval(tiny, read, longest, until, batch):
    model, tokenizer = tiny
    stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)
    requests = generation(until, max_gen_toks=longest)
    ours = InMemoryLM(model, tokenizer, BatchSize(batch))
    answers = ours.generate_until(requests)
    assert answers == stock.generate_until(requests, disable_tqdm=True)
    assert len(read) == 1
    assert read[0] >= len(tokenizer(BEGINNING).input_ids) - 1
    assert InMemoryLM(model, tokenizer, BatchSize(batch), False).generate_until(requests) == answers
    assert len(read) == 1


@pytest.mark.parametrize("context", [BEGINNING, "x"])
def test_finds_the_same_likelihoods_as_lm_eval(tiny, read, context):
    model, tokenizer = tiny
    pairs = [(f"{context} {item}", f" {end}") for item in ITEMS for end in ("pens", *ITEMS)]
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
    expected = stock.loglikelihood(requests, disable_tqdm=True)
    found = InMemoryLM(model, tokenizer, BatchSize(4)).loglikelihood(requests)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    torch.testing.assert_close(
        torch.tensor([value for value, _ in found]), torch.tensor([v for v, _ in expected])
    )
    assert len(read) == 1


def test_an_adapter_on_top_sees_the_beginning_too(tiny_folder, read):
    """A 4-bit base with its adapter is asked unmerged."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rigsa.adapters.build import build_adapter

    model = build_adapter(
        AutoModelForCausalLM.from_pretrained(tiny_folder), {"type": "lora", "r": 4}, 0, None
    ).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    requests = generation(["<|im_end|>"], max_gen_toks=8)
    stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
    found = InMemoryLM(model, tokenizer, BatchSize(4)).generate_until(requests)
    assert found == stock.generate_until(requests, disable_tqdm=True)
    assert read


@pytest.mark.parametrize("task", ["textual_digits", "tiny_gsm", "tiny_hellaswag"])
def test_the_same_examples_for_every_item_are_read_once(tiny, data_files, read, monkeypatch, task):
    once = evaluate(*tiny, task, data_files[task], fewshot=3, limit=20, sampler="first_n")
    assert len(read) == 1
    drawn = evaluate(*tiny, task, data_files[task], fewshot=3, limit=20)
    monkeypatch.setattr(language_model, "SHORTEST", 10**6)
    again = evaluate(*tiny, task, data_files[task], fewshot=3, limit=20, sampler="first_n")
    assert once.samples == again.samples
    # Other examples are another prompt, or the setting would do nothing.
    assert task == "textual_digits" or once.samples != drawn.samples


def test_what_cannot_be_shared_is_not(tiny):
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=8,
    )
    tokens = torch.arange(20)
    assert read_prefix(MistralForCausalLM(config), tokens) is None
    assert len(read_prefix(make_llama(), tokens)) == 20


def test_common_length():
    rows = [torch.tensor(row) for row in ([1, 2, 3, 4], [1, 2, 3], [1, 2, 5, 4])]
    assert common_length(rows) == 2
    assert common_length(rows[:2]) == 3
    assert common_length([rows[0], torch.tensor([2])]) == 0


def test_generation_settings_of_the_model_count(tiny):
    """One forward pass takes the likeliest token; a model may say that another one is to come."""
    model, tokenizer = tiny
    requests = generation(["<|im_end|>"], max_gen_toks=1)
    lm = InMemoryLM(model, tokenizer, BatchSize(4))
    plain = lm.generate_until(requests)
    first = tokenizer(plain[0], add_special_tokens=False).input_ids[0]
    model.generation_config.suppress_tokens = [first]
    try:
        assert lm.generate_until(requests)[0] != plain[0]
    finally:
        model.generation_config.suppress_tokens = None
