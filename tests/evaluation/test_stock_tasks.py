"""lm-eval's own piqa, hellaswag and gsm8k on real data files, unchanged in their texts."""

import json
from pathlib import Path

import pytest

from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.harness import harness
from rigsa.evaluation.task import load_task


def test_gsm8k_keeps_both_of_its_filters(tiny, real_files):
    result = evaluate(*tiny, "gsm8k", real_files["gsm8k"], fewshot=0, limit=3)
    assert result.metric == "exact_match"
    assert set(result.metrics) == {"exact_match", "exact_match,flexible-extract"}
    other = evaluate(
        *tiny, "gsm8k", real_files["gsm8k"], limit=3, metric="exact_match,flexible-extract"
    )
    assert other.metric == "exact_match,flexible-extract"


@pytest.mark.parametrize("task", ["piqa", "hellaswag"])
def test_choices_are_scored_by_likelihood(tiny, real_files, task):
    result = evaluate(*tiny, task, real_files[task], limit=5)
    assert set(result.metrics) == {"acc", "acc_norm"}
    for sample in result.samples:
        assert (sample["response"] == sample["target"]) == bool(sample["acc"])


def test_hellaswag_text_is_cleaned_as_lm_eval_does(real_files):
    with harness():
        task = load_task("hellaswag", real_files["hellaswag"], 0, 1234)
        doc = task.eval_docs[0]
    raw = json.loads(Path(real_files["hellaswag"]["validation"]).read_text().splitlines()[0])
    assert doc["query"].startswith(raw["activity_label"] + ": ")
    assert "[" not in doc["query"]
    assert doc["gold"] == int(raw["label"])
