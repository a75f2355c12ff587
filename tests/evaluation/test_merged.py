"""An adapter in the weights answers as the adapter beside them, on every benchmark."""

import pytest
from transformers import AutoModelForCausalLM

from rigsa.evaluation.evaluate import evaluate
from rigsa.machine import Machine
from rigsa.models.loading import load_checkpoint
from tests.evaluation.adapted import ADAPTERS, adapted

TASKS = ["textual_digits", "tiny_gsm", "tiny_piqa", "tiny_hellaswag"]
FEWSHOT = 2


@pytest.fixture(scope="module", params=list(ADAPTERS))
def both(request, tiny_folder, tmp_path_factory):
    """The same checkpoint with its adapter beside the weights and in them."""
    folder = tmp_path_factory.mktemp("adapter")
    beside = adapted(AutoModelForCausalLM.from_pretrained(tiny_folder), request.param)
    beside.save_pretrained(folder)
    return beside, load_checkpoint(tiny_folder, folder, Machine(), None)


@pytest.mark.parametrize("task", TASKS)
def test_merged_weights_give_the_same_answers(both, tiny, data_files, task):
    beside, merged = both
    tokenizer = tiny[1]
    assert hasattr(beside, "peft_config")
    assert not hasattr(merged, "peft_config")
    asked = [
        evaluate(model, tokenizer, task, data_files[task], FEWSHOT, limit=30)
        for model in (beside, merged)
    ]
    assert asked[0].samples == asked[1].samples
    assert asked[0].score == asked[1].score
    base = evaluate(*tiny, task, data_files[task], FEWSHOT, limit=30)
    # The comparison is empty if the adapter changes nothing; one token may stay the same.
    assert task == "textual_digits" or base.samples != asked[0].samples
