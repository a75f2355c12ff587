"""lm-eval's own piqa, hellaswag and gsm8k on real data files, unchanged in their texts."""

import json
from pathlib import Path

import pytest

from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.harness import harness
from rigsa.evaluation.task import load_task
from rigsa.files import write_jsonl


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """The first 40 rows of each real file, as data files by task and split."""
    folder = tmp_path_factory.mktemp("real")
    sources = {
        "gsm8k": {"train": "gsm8k/train.jsonl", "test": "gsm8k/test.jsonl"},
        "piqa": {
            "train": "piqa/train_with_labels.jsonl",
            "validation": "piqa/valid_with_labels.jsonl",
        },
        "hellaswag": {"validation": "hellaswag/hellaswag_val_1000_reconstructed.jsonl"},
    }
    files: dict[str, dict[str, str]] = {}
    for task, splits in sources.items():
        for split, source in splits.items():
            lines = (shared_data / source).read_text().splitlines()[:40]
            path = folder / task / f"{split}.jsonl"
            write_jsonl(path, [json.loads(line) for line in lines])
            files.setdefault(task, {})[split] = str(path)
    return files


def test_gsm8k_keeps_both_of_its_filters(tiny, real):
    result = evaluate(*tiny, "gsm8k", real["gsm8k"], fewshot=0, limit=3)
    assert result.metric == "exact_match"
    assert set(result.metrics) == {"exact_match", "exact_match,flexible-extract"}
    other = evaluate(*tiny, "gsm8k", real["gsm8k"], limit=3, metric="exact_match,flexible-extract")
    assert other.metric == "exact_match,flexible-extract"


@pytest.mark.parametrize("task", ["piqa", "hellaswag"])
def test_choices_are_scored_by_likelihood(tiny, real, task):
    result = evaluate(*tiny, task, real[task], limit=5)
    assert set(result.metrics) == {"acc", "acc_norm"}
    for sample in result.samples:
        assert (sample["response"] == sample["target"]) == bool(sample["acc"])


def test_hellaswag_text_is_cleaned_as_lm_eval_does(real):
    with harness():
        task = load_task("hellaswag", real["hellaswag"], 0, 1234)
        doc = task.eval_docs[0]
    raw = json.loads(Path(real["hellaswag"]["validation"]).read_text().splitlines()[0])
    assert doc["query"].startswith(raw["activity_label"] + ": ")
    assert "[" not in doc["query"]
    assert doc["gold"] == int(raw["label"])
