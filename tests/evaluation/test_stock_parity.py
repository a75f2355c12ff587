"""Sample by sample the answers of the stock lm_eval command line (takes half a minute)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lm_eval.tasks
import pytest
import yaml

from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.task import OUR_TASKS

TASKS = ["textual_digits", "tiny_gsm", "tiny_piqa", "tiny_hellaswag", "piqa"]
FILES = {task: OUR_TASKS / f"{task}.yaml" for task in TASKS[:-1]}
FILES["piqa"] = Path(lm_eval.tasks.__file__).parent / "piqa" / "piqa.yaml"
FEWSHOT, LIMIT = 3, 12


@pytest.fixture(scope="module")
def stock(tiny_folder, data_files, tmp_path_factory):
    """Samples of every task from one run of the command line; all of its settings are its own."""
    folder = tmp_path_factory.mktemp("stock")
    for task in TASKS:
        config = {"include": str(FILES[task]), "task": f"stock_{task}"}
        # Textual Digits brings its images itself, and they must be those of our files.
        if task != "textual_digits":
            config["dataset_path"] = "json"
            config["dataset_kwargs"] = {"data_files": data_files[task]}
        (folder / f"{task}.yaml").write_text(yaml.safe_dump(config))
    subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu"),
            *("--model_args", f"pretrained={tiny_folder},dtype=float32"),
            *("--include_path", str(folder), "--tasks", ",".join(f"stock_{t}" for t in TASKS)),
            *("--num_fewshot", str(FEWSHOT), "--limit", str(LIMIT), "--batch_size", "8"),
            *("--apply_chat_template", "--fewshot_as_multiturn"),
            *("--log_samples", "--output_path", str(folder / "out")),
        ],
        check=True,
        capture_output=True,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_CACHE": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
        },
    )
    return {task: _samples(folder / "out", f"stock_{task}") for task in TASKS}


def _samples(folder: Path, task: str) -> list[dict]:
    (path,) = folder.rglob(f"samples_{task}_*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(rows, key=lambda row: row["doc_id"])


@pytest.mark.parametrize("task", TASKS)
def test_every_answer_is_the_stock_answer(tiny, data_files, stock, task):
    ours = evaluate(*tiny, task, data_files[task], FEWSHOT, LIMIT, batch_size=8)
    assert len(stock[task]) == ours.n == LIMIT
    for theirs, sample in zip(stock[task], ours.samples, strict=True):
        assert sample["doc_id"] == theirs["doc_id"]
        for metric in theirs["metrics"]:
            assert sample[metric] == theirs[metric]
        if task in ("textual_digits", "tiny_gsm"):
            assert sample["response"] == theirs["resps"][0][0]
            assert sample["answer"] == theirs["filtered_resps"][0]
    # The comparison is empty if a random model says the same of everything; one token may be.
    assert task == "textual_digits" or len({sample["response"] for sample in ours.samples}) > 1
