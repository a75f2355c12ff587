"""The stock lm_eval command line on a model folder, offline and with its own settings."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def ask_stock(
    model: Path, tasks: Mapping[str, Mapping[str, Any]], folder: Path, *flags: str
) -> dict[str, list[dict[str, Any]]]:
    """Every task's samples in the order of its items, from one run of the command line.

    `tasks` gives each task's keys; "include" names the file that all others come from. A task
    stands in the harness as stock_<name>, so that the stock one cannot be taken for it.
    """
    for task, keys in tasks.items():
        (folder / f"{task}.yaml").write_text(yaml.safe_dump({"task": f"stock_{task}", **keys}))
    subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu"),
            *("--model_args", f"pretrained={model},dtype=float32"),
            *("--include_path", str(folder), "--tasks", ",".join(f"stock_{t}" for t in tasks)),
            *("--batch_size", "8", "--apply_chat_template", "--fewshot_as_multiturn", *flags),
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
    return {task: _samples(folder / "out", f"stock_{task}") for task in tasks}


def local(files: Mapping[str, str]) -> dict[str, Any]:
    """The keys that let a task read JSON lines instead of the hub."""
    return {"dataset_path": "json", "dataset_kwargs": {"data_files": dict(files)}}


def _samples(folder: Path, task: str) -> list[dict[str, Any]]:
    (path,) = folder.rglob(f"samples_{task}_*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(rows, key=lambda row: row["doc_id"])
