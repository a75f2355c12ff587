"""The same with accounts, where Slurm tells how jobs have ended: here by their time limit."""

import re
from collections.abc import Iterator

import pytest

from tests.slurm.one_node import OneNode, missing
from tests.slurm.runs import PROFILE, Run, saved_after, small, training
from tests.workflow.conftest import Project


@pytest.fixture(scope="module")
def accounting() -> Iterator[OneNode]:
    reason = missing(accounting=True)
    if reason:
        pytest.skip(f"no Slurm with accounting here: {reason}")
    with OneNode(accounting=True) as node:
        yield node


@pytest.mark.long
def test_a_training_that_runs_out_of_time(accounting, tmp_path) -> None:
    project, log = Project(tmp_path / "cluster"), tmp_path / "log"
    small(project, steps=4000, account="lab")
    last = "results/embedded/arms/rigsa/seed0/step0/training.json"
    run = Run(project, log, *PROFILE, "--", last)
    job = run.until(lambda: training(accounting), "the training")
    run.until(saved_after(project, 0), "a state of the training")
    asked = _minutes(accounting, job)
    accounting.run("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    again = run.until(lambda: (other := training(accounting)) != job and other, "the next", 240)
    first, second = (_minutes(accounting, number) for number in (job, again))
    assert first == 1
    assert 2 * asked - 1 <= second <= 2 * asked
    assert run.ended() == 0, run.said()
    text = (project.folder / "results/embedded/logs/train-rigsa-seed0-step0.log").read_text()
    assert "going on after step" in text


def _minutes(slurm: OneNode, job: str) -> int:
    """The time limit of a job, in Slurm's words hours:minutes:seconds."""
    said = slurm.run("scontrol", "show", "job", job)
    hours, minutes, _ = re.search(r"TimeLimit=(\S+)", said)[1].split(":")
    return 60 * int(hours) + int(minutes)
