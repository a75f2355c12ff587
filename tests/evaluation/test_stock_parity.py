"""Sample by sample the answers of the stock lm_eval command line (takes a minute)."""

from pathlib import Path

import lm_eval.tasks
import pytest

from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.task import OUR_TASKS
from tests.evaluation.stock import ask_stock, local

TASKS = ["textual_digits", "tiny_gsm", "tiny_piqa", "tiny_hellaswag", "piqa"]
FILES = {task: OUR_TASKS / f"{task}.yaml" for task in TASKS[:-1]}
FILES["piqa"] = Path(lm_eval.tasks.__file__).parent / "piqa" / "piqa.yaml"
FEWSHOT, LIMIT = 3, 12
SAMPLERS = [None, "first_n"]


@pytest.fixture(scope="module")
def stock(tiny_folder, data_files, tmp_path_factory):
    """Samples of every task and sampler; all other settings are the command line's own."""
    tasks = {}
    for task in TASKS:
        for sampler in SAMPLERS:
            tasks[f"{task}_{sampler}"] = {
                "include": str(FILES[task]),
                # Textual Digits brings its images itself, and they must be those of our files.
                **({} if task == "textual_digits" else local(data_files[task])),
                **({"fewshot_config": {"sampler": sampler}} if sampler else {}),
            }
    flags = ("--num_fewshot", str(FEWSHOT), "--limit", str(LIMIT))
    return ask_stock(tiny_folder, tasks, tmp_path_factory.mktemp("stock"), *flags)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("task", TASKS)
def test_every_answer_is_the_stock_answer(tiny, data_files, stock, task, sampler):
    expected = stock[f"{task}_{sampler}"]
    ours = evaluate(*tiny, task, data_files[task], FEWSHOT, LIMIT, batch_size=8, sampler=sampler)
    assert len(expected) == ours.n == LIMIT
    for theirs, sample in zip(expected, ours.samples, strict=True):
        assert sample["doc_id"] == theirs["doc_id"]
        for metric in theirs["metrics"]:
            assert sample[metric] == theirs[metric]
        if task in ("textual_digits", "tiny_gsm"):
            assert sample["response"] == theirs["resps"][0][0]
            assert sample["answer"] == theirs["filtered_resps"][0]
    # The comparison is empty if a random model says the same of everything; one token may be.
    assert task == "textual_digits" or len({sample["response"] for sample in ours.samples}) > 1
