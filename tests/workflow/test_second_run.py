"""A second run in the same folder is refused as long as the first is at work, and no longer."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.workflow.conftest import Project

TARGET = "results/base_models/embedded/model.safetensors"


def test_a_second_run_is_refused_and_a_killed_one_is_not_in_the_way(project: Project) -> None:
    """The first trains the base model, which takes minutes."""
    log = Path("results/embedded/logs/base_model-embedded.log")
    first = project.started("--cores", "2", "--", TARGET)
    try:
        _until(log.exists, first)
        second = project.snakemake("--cores", "2", "--", TARGET)
        assert second.returncode == 1
        said = f"Error: another run is at work in results: process {first.pid} on "
        assert said in second.stdout + second.stderr
        assert first.poll() is None
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    # Snakemake deletes the log before it starts the job again.
    log.rename("log of the first")
    third = project.started("--cores", "2", "--", TARGET)
    try:
        _until(log.exists, third)
    finally:
        os.killpg(third.pid, signal.SIGKILL)
        third.wait()


def _until(holds: Callable[[], bool], run: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 300
    while not holds():
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.2)
