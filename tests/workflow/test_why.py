"""`rigsa why` on a finished study, and the line on results of other library versions."""

import shutil
from pathlib import Path

import pytest

from rigsa.cli import main
from rigsa.files import read_json, write_json
from tests.workflow.conftest import Project
from tests.workflow.test_reruns import STUDY

STEP = Path("results/embedded/arms/rigsa/seed0/step1")


@pytest.fixture
def copied(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The finished study, to be changed, as the working directory."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    copy = object.__new__(Project)
    copy.folder = tmp_path / "copy"
    monkeypatch.chdir(copy.folder)
    return copy


def why(file: Path, capsys: pytest.CaptureFixture) -> str:
    capsys.readouterr()
    assert main(["why", str(file)]) == 0
    return capsys.readouterr().out


def test_a_result_that_is_what_the_study_says(copied: Project, capsys) -> None:
    text = why(STEP / "adapter/adapter_model.safetensors", capsys)
    assert "train rigsa/seed0/step1" in text
    assert "mask.safetensors" in text
    assert "as now" in text
    assert "gone" not in text
    assert "training.learning_rate: 0.01" in text
    assert "Changed since: nothing that it is made from." in text
    assert text.endswith("A run would make nothing of it again: it is what the study says.\n")


def test_what_has_changed_is_named_down_to_its_cause(copied: Project, capsys) -> None:
    def change(study: dict) -> None:
        study["arms"]["rigsa"]["mask"]["density"] = 0.05
        study["arms"]["qlora_r1"]["training"]["learning_rate"] = 0.003

    copied.edit(STUDY, change)
    text = why(STEP / "eval/tiny_gsm.json", capsys)
    assert "  select_mask rigsa/seed0/step1: density: 0.0346 → 0.05\n" in text
    assert "qlora" not in text
    assert "\n  train rigsa/seed0/step1\n" in text
    low_rank = Path("results/embedded/arms/qlora_r1/seed0/step0/training.json")
    assert "training.learning_rate: 0.002 → 0.003" in why(low_rank, capsys)
    scores = why(Path("results/embedded/tables/scores.csv"), capsys)
    assert "density: 0.0346 → 0.05" in scores
    assert "learning_rate: 0.002 → 0.003" in scores
    assert "\n  evaluate (12)\n" in scores


def test_code_versions_and_lost_files_are_named(copied: Project, capsys) -> None:
    record = read_json(STEP / "training.provenance.json")
    record["code"]["rigsa.training.loss"] = "0"
    record["spec"]["code"] = "0"
    record["versions"]["torch"] = "1.0"
    write_json(STEP / "training.provenance.json", record)
    (STEP / "mask.safetensors").unlink()
    text = why(STEP / "training.json", capsys)
    assert "train rigsa/seed0/step1: code: rigsa.training.loss\n" in text
    assert "torch: 1.0 → " in text
    assert "gone" in text


def test_a_file_of_nothing_is_one_sentence(copied: Project, capsys) -> None:
    assert main(["why", "README.md"]) == 1
    assert "README.md is no result of the study embedded; name a file in" in capsys.readouterr().err


def test_other_versions_are_named_where_nothing_is_to_be_done(copied: Project) -> None:
    for file in copied.folder.rglob("training.provenance.json"):
        record = read_json(file)
        record["versions"]["torch"] = "1.0"
        write_json(file, record)
    done = copied.snakemake("--dry-run")
    assert "Nothing to be done" in done.stdout + done.stderr
    assert done.stderr.count("7 results (checkpoints: 6) were made with torch 1.0, now") == 1
    copied.edit("config.yaml", lambda config: config.update(library_changes="ignore"))
    done = copied.snakemake("--dry-run")
    assert "torch" not in done.stderr
