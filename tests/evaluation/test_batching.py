"""Batches shrink where memory runs out; nothing that was answered is asked again."""

import json

import pytest
import torch

from rigsa.errors import RigsaError
from rigsa.evaluation.batching import LARGEST, BatchSize, remember, remembered
from rigsa.evaluation.evaluate import evaluate


def test_halves_until_it_fits_and_keeps_what_was_answered():
    asked = []

    def ask(batch):
        if len(batch) > 3:
            raise torch.OutOfMemoryError
        asked.extend(batch)
        return [item * 10 for item in batch]

    batches = BatchSize(8)
    items = list(range(20))
    assert batches.over(items, ask) == [item * 10 for item in items]
    assert asked == items
    assert batches.size == 2


def test_memory_that_runs_out_later_only_asks_that_batch_again():
    calls = []

    def ask(batch):
        calls.append(list(batch))
        if 5 in batch and len(batch) > 2:
            raise torch.OutOfMemoryError
        return batch

    assert BatchSize(4).over(list(range(8)), ask) == list(range(8))
    assert calls == [[0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [6, 7]]


@pytest.fixture
def narrow(tiny, monkeypatch):
    """A model with memory for `narrow.rows` rows."""
    model, tokenizer = tiny
    forward = model.forward

    def limited(input_ids=None, **kwargs):
        if len(input_ids) > limited.rows:
            raise torch.OutOfMemoryError
        return forward(input_ids=input_ids, **kwargs)

    limited.rows = 3
    monkeypatch.setattr(model, "forward", limited)
    return model, tokenizer, limited


@pytest.mark.parametrize("task", ["textual_digits", "tiny_gsm", "tiny_hellaswag"])
def test_running_out_of_memory_changes_no_answer(tiny, data_files, narrow, task):
    files = data_files[task]
    model, tokenizer, limited = narrow
    limited.rows = 100
    expected = evaluate(*tiny, task, files, fewshot=1, limit=20, batch_size=16)
    limited.rows = 3
    batches = BatchSize(16)
    found = evaluate(model, tokenizer, task, files, fewshot=1, limit=20, batch_size=batches)
    assert found.samples == expected.samples
    assert batches.size == 2


def test_one_item_that_does_not_fit_is_one_sentence(data_files, narrow):
    model, tokenizer, limited = narrow
    limited.rows = 0
    with pytest.raises(RigsaError, match="Even one item at a time does not fit"):
        evaluate(model, tokenizer, "tiny_gsm", data_files["tiny_gsm"], limit=4)


def test_the_size_is_remembered(tmp_path):
    memory = tmp_path / "cache" / "size.json"
    assert remembered("cuda", None).size == remembered("cuda", memory).size == LARGEST["cuda"]
    remember(BatchSize(LARGEST["cuda"]), "cuda", memory, {})
    assert not memory.exists()
    remember(BatchSize(12), "cuda", memory, {"task": "x"})
    assert json.loads(memory.read_text()) == {"eval_batch_size": 12, "task": "x"}
    assert remembered("cuda", memory).size == 12
    for damaged in ("{", "[]", '{"eval_batch_size": 0}', "{}"):
        memory.write_text(damaged)
        assert remembered("cuda", memory).size == LARGEST["cuda"]
