"""A full disk ends a step in one sentence; with room again, the same command ends as it should."""

import contextlib
import json
from functools import partial
from pathlib import Path

import pytest

from rigsa.analysis import collect, tables
from rigsa.cli import main
from rigsa.files import read_json
from rigsa.trouble import sentence
from tests.analysis.made_up import make_study, write_results
from tests.evaluation.test_job import SPEC as ASKED
from tests.faults.conftest import SmallDisk
from tests.training.test_job import SPEC

SENTENCE = "No space left on device; free some space there, and run the same command again: what"


def _fails_then_goes_on(command: list[str], disk: SmallDisk, capsys) -> None:
    capsys.readouterr()
    assert main(command) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"rigsa {command[0]}: ")
    assert SENTENCE in last
    disk.resize("64m")
    assert main(command) == 0


@pytest.mark.parametrize("full", ["results", "state"])
def test_training(full, small_study, small_disk, tmp_path, capsys) -> None:
    """Once where the adapter is to be written, once where the state is kept."""
    base, task = map(str, small_study)
    common = ["train", json.dumps(SPEC), "--base-model", base, "--task-data", task]
    assert main([*common, "--output", str(tmp_path / "whole")]) == 0
    places = {"results": tmp_path / "results", "state": tmp_path / "unfinished"}
    places[full] = small_disk.folder
    unfinished = ["--unfinished", str(places["state"] / "train"), "--checkpoint-steps", "3"]
    command = [*common, "--output", str(places["results"] / "checkpoint"), *unfinished]
    _fails_then_goes_on(command, small_disk, capsys)
    whole, other = (
        folder / "adapter/adapter_model.safetensors"
        for folder in (tmp_path / "whole", places["results"] / "checkpoint")
    )
    assert whole.read_bytes() == other.read_bytes()


def test_mask_selection(small_study, small_disk, capsys) -> None:
    spec = {
        "adapter": SPEC["adapter"],
        "rule": "random",
        "scope": "matrix",
        "keep": None,
        "density": 0.1,
        "seed": 0,
    }
    small_disk.resize("4k")
    output = small_disk.folder / "mask.safetensors"
    command = ["select-mask", json.dumps(spec), "--base-model", str(small_study[0])]
    _fails_then_goes_on([*command, "--output", str(output)], small_disk, capsys)
    names = {path.name for path in small_disk.folder.iterdir()}
    assert names == {"mask.safetensors", "mask.provenance.json"}


def test_evaluation(tiny_folder, data_files, small_disk, capsys) -> None:
    spec = {**ASKED, "task": "tiny_gsm", "lm_eval": "tiny_gsm", "benchmark": "sums", "limit": 8}
    small_disk.resize("4k")
    output = small_disk.folder / "sums.json"
    task = Path(data_files["tiny_gsm"]["test"]).parent
    command = ["evaluate", json.dumps(spec), "--base-model", str(tiny_folder)]
    command += ["--task-data", str(task), "--output", str(output)]
    _fails_then_goes_on(command, small_disk, capsys)
    assert read_json(output)["n"] == 8
    names = {path.name for path in small_disk.folder.iterdir()}
    assert names == {"sums.json", "sums.samples.parquet", "sums.provenance.json"}


def test_a_folder_that_cannot_be_written_any_more(small_study, small_disk, capsys) -> None:
    assert small_disk.mount("64m", "remount", "ro").returncode == 0
    base, task = map(str, small_study)
    command = ["train", json.dumps(SPEC), "--base-model", base, "--task-data", task]
    capsys.readouterr()
    assert main([*command, "--output", str(small_disk.folder / "checkpoint")]) == 1
    assert "make its file system writable" in capsys.readouterr().err


def test_aggregation(small_disk) -> None:
    """Scores, then a table: nothing is there by half, and then all of it."""
    small_disk.resize("16m")
    study = make_study()
    paths = write_results(study, small_disk.folder / "results", items=20)
    filler = small_disk.folder / "filler"
    for make, made in (
        (partial(collect.run, study, paths), [paths.scores]),
        (partial(tables.run, "summary", study, paths), paths.table("summary")),
    ):
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        before = set(paths.scores.parent.glob("**/*"))
        with pytest.raises(OSError, match="No space left") as error:
            make()
        assert "No space left on device; free some space there" in sentence(error.value)
        assert set(paths.scores.parent.glob("**/*")) == before
        filler.unlink()
        make()
        assert all(path.stat().st_size > 0 for path in made)
