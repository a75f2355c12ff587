"""The evaluation job: files out, and a batch size that the next job begins with."""

import json
from pathlib import Path

import pytest
import torch

from rigsa.cli import main

SPEC = {
    "quantization": None,
    "precision": "float32",
    "benchmark": "shown",
    "task": "textual_digits",
    "lm_eval": "textual_digits",
    "fewshot": 1,
    "limit": 10,
    "method": None,
    "metric": None,
}


@pytest.fixture
def evaluate(tiny_folder, data_files, tmp_path):
    task_data = Path(data_files["textual_digits"]["test"]).parent

    def run(*flags, **changes):
        output = tmp_path / "eval" / "shown.json"
        folders = ["--base-model", str(tiny_folder), "--task-data", str(task_data)]
        spec = json.dumps(SPEC | changes)
        assert main(["evaluate", spec, *folders, "--output", str(output), *flags]) == 0
        return json.loads(output.read_text())

    return run


def test_the_size_that_fits_is_found_once(evaluate, tmp_path, monkeypatch):
    from transformers import LlamaForCausalLM

    rows = []
    forward = LlamaForCausalLM.forward

    def limited(self, input_ids=None, **kwargs):
        rows.append(len(input_ids))
        if len(input_ids) > 4:
            raise torch.OutOfMemoryError
        return forward(self, input_ids=input_ids, **kwargs)

    expected = evaluate("--eval-batch-size", "16")
    monkeypatch.setattr(LlamaForCausalLM, "forward", limited)
    auto = ("--eval-batch-size", "auto", "--cache", str(tmp_path / "cache"))
    assert evaluate(*auto)["score"] == expected["score"]
    (noted,) = (tmp_path / "cache" / "eval_batch_size").iterdir()
    content = json.loads(noted.read_text())
    assert content["eval_batch_size"] <= 4
    assert content["task"] == "textual_digits"
    assert max(rows) > 4
    rows.clear()
    evaluate(*auto)
    assert max(rows) <= 4
    # Other prompts need another size.
    evaluate(*auto, fewshot=0)
    assert len(list((tmp_path / "cache" / "eval_batch_size").iterdir())) == 2


def test_a_number_is_kept_to_and_not_noted(evaluate, tmp_path):
    evaluate("--eval-batch-size", "3", "--cache", str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("wrong", ["0", "-1", "all"])
def test_a_wrong_batch_size_is_said(evaluate, wrong, capsys):
    with pytest.raises(SystemExit):
        evaluate(f"--eval-batch-size={wrong}")
    assert f"{wrong!r} is neither a number from 1 on nor auto" in capsys.readouterr().err


def test_the_same_examples_for_every_item(evaluate):
    """A benchmark's sampler is part of what is written down of its run."""
    assert evaluate(sampler="first_n")["spec"]["sampler"] == "first_n"
