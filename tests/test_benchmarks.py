"""The benchmarks still run; their figures are not looked at here."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, make_llama

pytestmark = pytest.mark.long


def _run(script: str, *arguments: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def test_a_training_step_is_measured_beside_its_peers(tmp_path) -> None:
    output = tmp_path / "step.json"
    given = ["--tokens", "4", "--rows", "1", "--rounds", "1", "--output", str(output)]
    _run("training_step.py", "P1", "--sides", "lora", "sparse+recompute", *given)
    results = json.loads(output.read_text())["results"]
    assert results["lora"]["time_ratio"] == 1
    assert 0 < results["sparse+recompute"]["memory_ratio"] < 1


def test_pruning_is_measured_from_file_to_file(tmp_path) -> None:
    make_llama().config.save_pretrained(tmp_path)
    output = tmp_path / "prune.json"
    _run("prune.py", str(tmp_path), "--output", str(output))
    first, whole = json.loads(output.read_text())["results"]
    assert whole["weights"] == pytest.approx(first["weights"] * whole["layers"])


def test_the_places_of_kept_weights_are_measured(tmp_path) -> None:
    output = tmp_path / "kept.json"
    _run("kept_weights.py", "--tokens", "4", "--rounds", "1", "--output", str(output))
    assert json.loads(output.read_text())["results"]["0.5"]["turn_by_bits"] > 0


def test_a_shrunk_model_is_measured_beside_the_folded_one(tmp_path) -> None:
    output = tmp_path / "shrunk.json"
    tiny = ["--hidden", "128", "--layers", "1", "--tokens", "8", "--rounds", "1"]
    _run("shrunk_model.py", *tiny, "--shares", "0", "0.5", "--output", str(output))
    nothing, free, _, aligned = json.loads(output.read_text())["results"]
    assert nothing["linear_ratio"] == 1
    assert free["linear_ratio"] < aligned["linear_ratio"] == pytest.approx(0.5)
    assert min(row["time_ratio"] for row in (nothing, free, aligned)) > 0


def test_planning_is_measured(tmp_path) -> None:
    output = tmp_path / "dry_run.json"
    _run("dry_run.py", "--jobs", "60", "--repeats", "1", "--output", str(output))
    (row,) = json.loads(output.read_text())["results"]
    assert min(row["cpu_from_nothing"], row["cpu_finished"], row["cpu_one_job"]) > 0


def test_aggregation_is_measured(tmp_path) -> None:
    output = tmp_path / "aggregation.json"
    few = ["--checkpoints", "8", "--distinct", "1"]
    _run("aggregation.py", *few, "--scratch", str(tmp_path), "--output", str(output))
    (row,) = json.loads(output.read_text())["results"]
    assert row["collect"]["mib"] > 0
    assert row["table summary"]["cpu_seconds"] > 0
