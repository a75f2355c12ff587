"""An evaluation as files: what the analysis reads is what was measured."""

import json

import pandas as pd
import pytest

from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.results import write_evaluation


def test_files_hold_the_evaluation(tiny, data_files, tmp_path):
    evaluation = evaluate(*tiny, "tiny_hellaswag", data_files["tiny_hellaswag"], limit=20)
    scores, samples = tmp_path / "eval" / "x.json", tmp_path / "eval" / "x.samples.parquet"
    write_evaluation(evaluation, "x", {"arm": "base"}, scores, samples)
    content = json.loads(scores.read_text())
    assert content["benchmark"] == "x"
    assert content["task"] == "tiny_hellaswag"
    assert content["n"] == 20
    assert content["spec"] == {"arm": "base"}
    assert content["versions"]["torch"]
    rows = pd.read_parquet(samples)
    assert list(rows.columns[:5]) == ["doc_id", "score", "response", "answer", "target"]
    assert rows["score"].mean() == pytest.approx(content["score"])
    assert rows["score"].sem() == pytest.approx(content["stderr"])
    assert rows["acc_norm"].mean() == pytest.approx(content["metrics"]["acc_norm"])
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == [
        scores.name,
        samples.name,
    ]
