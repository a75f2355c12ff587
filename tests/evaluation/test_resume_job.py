"""`rigsa evaluate --unfinished`: what is kept, for whom, and that no kill loses it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from rigsa.cli import main
from rigsa.evaluation.definition import definition
from rigsa.evaluation.kept_answers import ANSWERS
from rigsa.files import read_json, write_jsonl
from rigsa.machine import Machine
from rigsa.tasks.generated import generate
from tests.evaluation.adapted import adapted
from tests.evaluation.test_job import SPEC

GSM = {**SPEC, "task": "tiny_gsm", "lm_eval": "tiny_gsm", "benchmark": "sums", "limit": 30}


@pytest.fixture
def adapter(tiny_folder, tmp_path) -> Path:
    from transformers import AutoModelForCausalLM

    adapted(AutoModelForCausalLM.from_pretrained(tiny_folder), "lora").save_pretrained(
        tmp_path / "adapter"
    )
    return tmp_path / "adapter"


@pytest.fixture
def arguments(tiny_folder, data_files, adapter, tmp_path):
    sums = Path(data_files["tiny_gsm"]["test"]).parent

    def make(output: str, *flags: str, spec: dict = GSM, data: Path = sums) -> list[str]:
        return [
            *("evaluate", json.dumps(spec), "--base-model", str(tiny_folder)),
            *("--task-data", str(data)),
            *("--adapter", str(adapter), "--eval-batch-size", "2"),
            *("--output", str(tmp_path / output / "sums.json"), *flags),
        ]

    return make


def _written(folder: Path) -> tuple[bytes, dict]:
    scores = read_json(folder / "sums.json") | {"seconds": None}
    return (folder / "sums.samples.parquet").read_bytes(), scores


@pytest.fixture
def many_sums(tmp_path) -> Path:
    for split, docs in generate("tiny_gsm", 0, {"train": 9, "validation": 9, "test": 200}).items():
        write_jsonl(tmp_path / "sums" / f"{split}.jsonl", docs)
    return tmp_path / "sums"


def test_no_kill_loses_an_answer(arguments, many_sums, tmp_path) -> None:
    """Killed at random moments, it comes to its end, and to the same bytes."""
    long = {"spec": {**GSM, "limit": None}, "data": many_sums}
    assert main(arguments("undisturbed", **long)) == 0
    unfinished = tmp_path / "unfinished" / "evaluate-sums"
    answers, moments = unfinished / ANSWERS, random.Random(0)
    command = [sys.executable, "-m", "rigsa.cli", *arguments("killed", **long)]
    before, kills = 0, 0
    while True:
        with subprocess.Popen([*command, "--unfinished", str(unfinished)]) as process:
            while process.poll() is None and kills < 2:
                time.sleep(0.01)
                if answers.exists() and answers.stat().st_size > before:
                    time.sleep(moments.random() / 2)
                    process.kill()
                    break
        if process.returncode == 0:
            break
        assert answers.stat().st_size > before
        before, kills = answers.stat().st_size, kills + 1
    assert kills
    assert _written(tmp_path / "killed") == _written(tmp_path / "undisturbed")
    assert not answers.exists()


def test_another_adapter_begins_anew_and_says_so(
    arguments, adapter, tmp_path, monkeypatch, caplog
) -> None:
    from transformers import LlamaForCausalLM

    forward, calls = LlamaForCausalLM.forward, []

    def stopping(self, *args, **kwargs):
        calls.append(0)
        if len(calls) == 200:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(self, *args, **kwargs)

    flags = ("--unfinished", str(tmp_path / "evaluate-sums"))
    monkeypatch.setattr(LlamaForCausalLM, "forward", stopping)
    assert main(arguments("out", *flags)) == 130
    assert (tmp_path / "evaluate-sums" / ANSWERS).stat().st_size
    weights = adapter / "adapter_model.safetensors"
    save_file({name: -value for name, value in load_file(weights).items()}, weights)
    assert main(arguments("out", *flags)) == 0
    assert "evaluate-sums: begun with another adapter; begins anew." in caplog.messages
    assert not (tmp_path / "evaluate-sums" / ANSWERS).exists()
    assert main(arguments("undisturbed")) == 0
    assert _written(tmp_path / "out") == _written(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("settings", {"spec": {**GSM, "fewshot": 2}}),
        ("model", "base/model.safetensors"),
        ("model", "base/tokenizer.json"),
        ("adapter", "adapter/adapter_model.safetensors"),
        ("adapter", "adapter/adapter_config.json"),
        ("adapter", {"adapter": None}),
        ("data", "data/test.jsonl"),
        ("data", "data/train.jsonl"),
        ("device", {"machine": Machine(device="cuda")}),
        ("batch size", {"machine": Machine(eval_batch_size=3)}),
        (None, {"machine": Machine(threads=2)}),
        (None, "base/training.json"),
    ],
)
def test_what_answers_depend_on(tmp_path, part, change) -> None:
    """One part changes with a flipped bit of an input or with a setting, and no other does."""
    folders = {"base": ["model.safetensors", "tokenizer.json", "training.json"]}
    folders["adapter"] = ["adapter_model.safetensors", "adapter_config.json"]
    folders["data"] = ["train.jsonl", "test.jsonl"]
    for folder, names in folders.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(b"abc")
    made_from = {"spec": GSM, "base_model": tmp_path / "base", "task_data": tmp_path / "data"}
    made_from |= {"adapter": tmp_path / "adapter", "machine": Machine()}
    before = definition(**made_from)
    if isinstance(change, str):
        (tmp_path / change).write_bytes(b"abb")
        change = {}
    after = definition(**made_from | change)
    assert [key for key in before if before[key] != after[key]] == ([part] if part else [])
