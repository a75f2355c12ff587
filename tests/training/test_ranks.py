"""A training on two processes: the same as on one, however it ends, and none outlives another."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rigsa.adapters.build import linear_shapes
from rigsa.files import read_json, read_jsonl
from rigsa.machine import Machine
from rigsa.masks.storage import Mask, save_mask
from rigsa.models.loading import load_base
from rigsa.training.order import share
from rigsa.training.ranks import FOLDER
from tests.conftest import ROOT
from tests.training.rank_runs import ALIKE, SHARDED
from tests.training.test_job import SPEC

ADAPTER = Path("arm", "adapter", "adapter_model.safetensors")


@pytest.fixture(scope="module")
def runs(small_study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all trainings of rank_runs.py leave behind."""
    folder = tmp_path_factory.mktemp("runs")
    shapes = linear_shapes(load_base(small_study[0], Machine()))
    generator = torch.Generator().manual_seed(0)
    kept = {name: torch.rand(shape, generator=generator) < 0.05 for name, shape in shapes.items()}
    save_mask(Mask(kept), folder / "mask.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.rank_runs", *map(str, (*small_study, folder))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("kind", ALIKE)
def test_two_processes_learn_what_one_does(kind: str, runs: Path) -> None:
    """To the rounding of sums: 1e-5 of values that have moved by 1e-2 a step."""
    one, two = (load_file(runs / kind / gpus / ADAPTER) for gpus in "12")
    assert one.keys() == two.keys()
    for name, values in one.items():
        torch.testing.assert_close(two[name], values, rtol=1e-4, atol=1e-5)
    one, two = (read_jsonl(runs / kind / gpus / "arm" / "training.jsonl") for gpus in "12")
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for key in ("loss", "validation_loss", "kl_to_base", "learning_rate"):
        assert [row[key] for row in two] == pytest.approx(
            [row[key] for row in one], rel=1e-4, abs=1e-6
        )


def test_only_a_training_on_several_says_so(runs: Path) -> None:
    specs = [read_json(runs / "dense" / gpus / "arm" / "training.json")["spec"] for gpus in "12"]
    assert [spec["training"].get("gpus") for spec in specs] == [None, 2]


@pytest.mark.parametrize("name", [*SHARDED, "dropout-sharded"])
def test_a_base_model_in_parts_gives_the_same_bytes(name: str, runs: Path) -> None:
    """Also with batches that have no row for a rank, and after it was broken off."""
    parts, whole = ((runs / n / "2" / ADAPTER).read_bytes() for n in (name, name.split("-")[0]))
    assert parts == whole


@pytest.mark.parametrize("pair", [("dropout", "dropout-rank"), ("rounding", "rounding-job")])
def test_a_broken_one_ends_in_the_bytes_of_a_quiet_one(pair: tuple[str, str], runs: Path) -> None:
    quiet, broken = ((runs / name / "2" / ADAPTER).read_bytes() for name in pair)
    assert quiet == broken


def test_each_end_is_one_sentence_that_names_what_is_kept(runs: Path) -> None:
    codes = read_json(runs / "codes.json")
    assert {code for name, (*_, code) in codes.items()} == {0}
    assert codes["dropout-rank/2"] == [1, 1, 1, 0]
    assert codes["dropout-sharded/2"] == [1, 128 + signal.SIGTERM, 0]
    assert codes["rounding-job/2"] == [-signal.SIGKILL, 128 + signal.SIGTERM, 0]
    said = _sentences(runs / "dropout-rank" / "2" / "log")
    for sentence, words in zip(
        said,
        (
            "rank 1 of 2 has failed (killed by SIGKILL); run the same command again. The state aft"
            "er step 1 is kept",
            "does not fit into the cpu's memory with micro_batch_size 3; set micro_batch_size to 1",
            "the loss is nan in step 4, at learning rate",
        ),
        strict=True,
    ):
        assert words in sentence
    assert "The state after step 3 is kept in" in said[-1]
    (stop,) = _sentences(runs / "rounding-job" / "2" / "log")
    assert stop == (
        "rigsa train: stopped by SIGTERM after step 5 of 6, from where the same command goes on."
    )


def test_a_rank_that_ends_while_the_others_wait_for_its_weights_is_named(runs: Path) -> None:
    said = _sentences(runs / "dropout-sharded" / "2" / "log")[0]
    assert "dropout-sharded/2/arm: rank 1 of 2 has failed (" in said
    assert "does not fit into the cpu's memory with micro_batch_size 3; set micro_batc" in said


def test_a_batch_is_shared_without_a_rest() -> None:
    for rows in range(9):
        for ranks in range(1, 5):
            parts = [share(list(range(rows)), rank, ranks) for rank in range(ranks)]
            assert [row for part in parts for row in part] == list(range(rows))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_rank_ends_with_the_job_that_has_started_it(small_study, tmp_path: Path) -> None:
    """By its own launcher, in the moment that it starts, by a kill that nobody can answer."""
    spec = {**SPEC, "training": {**SPEC["training"], "gpus": 2}}
    base, task = map(str, small_study)
    job = subprocess.Popen(
        [
            *(sys.executable, "-m", "rigsa.cli", "train", json.dumps(spec), "--output"),
            *(str(tmp_path / "arm"), "--base-model", base, "--task-data", task),
        ],
        stderr=subprocess.DEVNULL,
    )
    rank = _until(lambda: _child(job.pid))
    _until(lambda: FOLDER.encode() in Path(f"/proc/{rank}/environ").read_bytes())
    job.kill()
    job.wait()
    _until(lambda: not _runs(rank))


def _sentences(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if line.startswith("rigsa train:")]


def _child(pid: int) -> int | None:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(found[0]) if found else None


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0] != "Z"
    except FileNotFoundError:
        return False


def _until(condition, seconds: float = 60.0):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value
