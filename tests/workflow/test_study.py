"""The whole workflow on a study of two minutes: from nothing to the report, then nothing more."""

import json
import time

import pandas as pd
import pytest

from rigsa.masks.storage import load_mask
from tests.workflow.conftest import Project
from tests.workflow.quick import KEPT_ARMS, cut_down


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("study"))
    cut_down(project)
    done = project.snakemake("--cores", "all", "--resources", "gpu=1")
    assert done.returncode == 0, done.stderr[-3000:]
    project.output = done.stdout.strip()
    return project


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


def _planned(project: Project) -> dict[str, int]:
    """Jobs by rule that a dry run lists."""
    done = project.snakemake("--dry-run")
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    if not any(line.startswith("Job stats") for line in lines):
        return {}
    start = next(i for i, line in enumerate(lines) if line.startswith("Job stats")) + 3
    jobs = {}
    for line in lines[start:]:
        if not line.strip():
            break
        rule, count = line.split()
        jobs[rule] = int(count)
    return {rule: jobs[rule] for rule in jobs if rule not in ("total", "all", "report")}


AGGREGATES = {"collect": 1, "table": 6, "figure": 7}


@pytest.mark.parametrize(
    ("file", "change", "jobs"),
    [
        (
            "studies/embedded.yaml",
            lambda s: s.update(figures={"colors": {"imp": "#112233"}}),
            {"figure": 7},
        ),
        (
            "studies/embedded.yaml",
            lambda s: s["benchmarks"]["tiny_gsm"].update(fewshot=3),
            {"evaluate": 6, **AGGREGATES},
        ),
        (
            "studies/embedded.yaml",
            lambda s: s["arms"]["rigsa"]["mask"].update(density=0.05),
            # The dense step and its evaluations stay; the random mask follows RIGSA's density.
            {"select_mask": 2, "train": 2, "evaluate": 8, "sample_chat": 1, **AGGREGATES},
        ),
        (
            "studies/embedded.yaml",
            lambda s: s["arms"]["qlora_r1"].update(training={"learning_rate": 1.0e-3}),
            {"train": 1, "evaluate": 4, **AGGREGATES},
        ),
        (
            "studies/embedded.yaml",
            lambda s: s.update(arms=dict(reversed(s["arms"].items()))),
            {},
        ),
        (
            "studies/embedded.yaml",
            lambda s: s.update(seeds=[0, 1]),
            {"select_mask": 2, "train": 4, "evaluate": 16, **AGGREGATES},
        ),
    ],
    ids=["figure colour", "few-shot", "density", "learning rate", "order of keys", "new seed"],
)
def test_only_what_is_invalidated_is_planned(finished: Project, file, change, jobs) -> None:
    path = finished.folder / file
    before = path.read_bytes()
    try:
        finished.edit(file, change)
        planned = _planned(finished)
    finally:
        path.write_bytes(before)
    assert planned == jobs
