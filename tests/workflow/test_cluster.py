"""The cluster profile without a cluster: what jobs ask for, and what is said without Slurm."""

import os
import re

from rigsa.slurm import COMMANDS


def test_every_job_asks_for_memory_and_time(project) -> None:
    done = project.snakemake("--dry-run", "results/embedded/arms/rigsa/seed0/step0/training.json")
    resources = re.search(r"rule train:.*?resources: ([^\n]*)", done.stdout + done.stderr, re.S)[1]
    asked = dict(item.split("=") for item in resources.split(", "))
    assert 1000 < int(asked["mem_mb"]) < 3000
    assert 10 < int(asked["runtime"]) < 60


def test_a_cluster_that_does_not_answer(project, monkeypatch) -> None:
    commands = project.folder / "bin"
    commands.mkdir()
    for name in COMMANDS:
        (commands / name).write_text("#!/bin/sh\necho 'Unable to contact controller' >&2; exit 1\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    done = project.snakemake("--workflow-profile", "profiles/slurm")
    assert done.returncode != 0
    assert "Error: Slurm does not answer (scontrol show config: Unable to contact" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.folder / "results" / "tasks").exists()
