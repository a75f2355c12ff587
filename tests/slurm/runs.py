"""A small study, and runs of it on the cluster."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.slurm.one_node import OneNode
from tests.workflow.conftest import Project
from tests.workflow.quick import cut_down

PROFILE = ("--workflow-profile", "profiles/slurm")
TRAINING = "results/unfinished/embedded-train-rigsa-seed0-step0/state.safetensors"
SCORES = "results/embedded/tables/scores.csv"
ROWS = 1297  # Images in scikit-learn's digits that are trained on.


def small(
    project: Project, steps: int, partition: str = "main", account: str | None = None
) -> None:
    """One arm of two IMP steps beside its base, with trainings of so many steps."""
    cut_down(project)

    def study(content: dict[str, Any]) -> None:
        arms = content["arms"]
        content["arms"] = {name: arms[name] for name in ("base", "rigsa")}
        content["training"]["epochs"] = steps * content["training"]["batch_size"] / ROWS
        content["source_tasks"] = ["tiny_gsm"]
        content["benchmarks"] = {
            name: content["benchmarks"][name] for name in ("textual_digits", "tiny_gsm")
        }

    def profile(content: dict[str, Any]) -> None:
        content["default-resources"] = {"slurm_partition": "main"}
        if account is not None:
            content["default-resources"]["slurm_account"] = account
        content["slurm-init-seconds-before-status-checks"] = 2
        content["latency-wait"] = 20

    project.edit("studies/embedded.yaml", study)
    project.edit("config.yaml", lambda content: content.update(checkpoint_steps=20))
    project.edit("profiles/slurm/profile.yaml", profile)


class Run:
    """A run of Snakemake in the background, with what it prints."""

    begun: ClassVar[list["Run"]] = []

    def __init__(self, project: Project, log: Path, *arguments: str) -> None:
        self.project, self.log = project, log
        self.process = project.started(*arguments, output=log)
        self.begun.append(self)

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 120) -> Any:
        """Waits, as long as the run lasts."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert self.process.poll() is None, f"ended before {what}:\n{self.said()}"
            assert time.monotonic() < end, f"waited {seconds} seconds for {what}:\n{self.said()}"
            time.sleep(0.1)
        return found

    def ended(self, seconds: float = 400) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"does not end:\n{self.said()}")

    def said(self) -> str:
        return self.log.read_text()[-6000:]


def training(slurm: OneNode) -> str | None:
    """The number of the job that trains."""
    rows = slurm.run("squeue", "-h", "-t", "RUNNING", "-o", "%i %k").splitlines()
    return next((row.split()[0] for row in rows if "rule_train" in row), None)


def saved_after(project: Project, moment: float) -> Callable[[], bool]:
    """Whether the training has saved its state since."""
    state = project.folder / TRAINING
    return lambda: state.exists() and state.stat().st_mtime > moment
