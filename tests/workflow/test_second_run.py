"""A second run in the same folder is refused as long as the first is at work, and no longer."""

import os
import signal
import time
from pathlib import Path

from tests.workflow.conftest import Project

TARGET = "results/base_models/embedded/model.safetensors"


def test_a_second_run_is_refused_and_a_killed_one_is_not_in_the_way(project: Project) -> None:
    """The first trains the base model, which takes minutes."""
    log = Path("results/embedded/logs/base_model-embedded.log")
    first = project.started("--cores", "2", "--", TARGET)
    try:
        end = time.monotonic() + 120
        while not log.exists() and time.monotonic() < end:
            time.sleep(0.2)
        second = project.snakemake("--cores", "2", "--", TARGET)
        assert second.returncode == 1
        said = f"Error: another run is at work in results: process {first.pid} on "
        assert said in second.stdout + second.stderr
        assert first.poll() is None
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    third = project.started("--cores", "2", "--", TARGET)
    try:
        began = log.stat().st_mtime
        end = time.monotonic() + 120
        while log.stat().st_mtime == began and time.monotonic() < end:
            assert third.poll() is None
            time.sleep(0.2)
    finally:
        os.killpg(third.pid, signal.SIGKILL)
        third.wait()
