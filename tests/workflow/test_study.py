"""The whole workflow on a study of two minutes: from nothing to the report, then nothing more."""

import json
import time

import pandas as pd
import pytest

from rigsa.masks.storage import load_mask
from tests.workflow.conftest import Project
from tests.workflow.quick import KEPT_ARMS


def test_a_run_ends_with_the_summary_and_the_place_of_the_report(finished: Project) -> None:
    assert "Random mask" in finished.output
    assert finished.output.splitlines()[-1] == "Report: results/embedded/report.html"
    report = finished.folder / "results/embedded/report.html"
    text = report.read_text()
    assert "figure2.png" in text
    assert 'src="http' not in text


def test_every_checkpoint_is_asked_every_benchmark(finished: Project) -> None:
    scores = pd.read_csv(finished.folder / "results/embedded/tables/scores.csv")
    trained = {("rigsa", 0), ("rigsa", 1), ("random_mask", 0), ("qlora_r1", 0)}
    wanted = {*trained, ("base", 0), ("base_4bit", 0)}
    assert set(zip(scores["arm"], scores["step"], strict=True)) == wanted
    assert (scores.groupby(["arm", "step"]).size() >= 4).all()
    assert set(scores["arm"]) == set(KEPT_ARMS)


def test_densities_in_the_files_are_the_schedule_s(finished: Project) -> None:
    arms = finished.folder / "results/embedded/arms"
    for place in ("rigsa/seed0/step1", "random_mask/seed0/step0"):
        mask = load_mask(arms / place / "mask.safetensors")
        assert mask.density == pytest.approx(0.0346, abs=1e-4)
        totals = json.loads((arms / place / "training.json").read_text())
        assert totals["density"] == pytest.approx(mask.density)
        assert totals["trainable_parameters"] == mask.kept + len(mask.bits)
    assert not (arms / "rigsa/seed0/step0/mask.safetensors").exists()


def test_the_chosen_learning_rate_is_what_was_trained_with(finished: Project) -> None:
    results = finished.folder / "results/embedded"
    chosen = json.loads((results / "tuning/random_mask.json").read_text())
    losses = {trial["learning_rate"]: trial["validation_loss"] for trial in chosen["trials"]}
    assert set(losses) == {3e-3, 1e-2}
    assert chosen["learning_rate"] == min(losses, key=losses.get)
    totals = json.loads((results / "arms/random_mask/seed0/step0/training.json").read_text())
    assert totals["learning_rate"] == chosen["learning_rate"]
    # The first seed's training is that trial, and not made again.
    assert totals["validation_loss"] == losses[chosen["learning_rate"]]
    log = (results / "logs/train-random_mask-seed0-step0.log").read_text()
    assert "is the training of" in log
    assert "step 1 of" not in log
    scores = pd.read_csv(results / "tables/scores.csv")
    assert not scores["arm"].str.contains(".", regex=False).any()


def test_tables_and_figures_are_there_in_every_format(finished: Project) -> None:
    results = finished.folder / "results/embedded"
    tables = {path.name for path in (results / "tables").iterdir()}
    figures = {path.name for path in (results / "figures").iterdir()}
    for number in range(1, 5):
        assert {f"table{number}.{suffix}" for suffix in ("csv", "md", "tex")} <= tables
    for number in range(1, 7):
        assert {f"figure{number}.{suffix}" for suffix in ("pdf", "png")} <= figures


def test_logs_are_plain_lines(finished: Project) -> None:
    text = (finished.folder / "results/embedded/logs/train-rigsa-seed0-step0.log").read_text()
    assert "validation accuracy" in text
    assert "s left" in text
    assert "\r" not in text
    assert "Warning" not in text


def test_a_second_run_has_nothing_to_do(finished: Project) -> None:
    began = time.monotonic()
    done = finished.snakemake("--cores", "all", "--resources", "gpu=1")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stderr + done.stdout
    assert time.monotonic() - began < 30
