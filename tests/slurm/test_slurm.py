"""A study through a real Slurm: disturbed in every way it knows, and equal to a local run's."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.faults.compare import differing
from tests.slurm.one_node import OneNode, missing
from tests.slurm.runs import PROFILE, SCORES, Run, saved_after, small, training
from tests.workflow.conftest import Project


@pytest.fixture(scope="module")
def slurm() -> Iterator[OneNode]:
    reason = missing()
    if reason:
        pytest.skip(f"no Slurm here: {reason}")
    with OneNode() as node:
        yield node


def start_again(slurm: OneNode, run: Run) -> str:
    """Ends the pause of two minutes that Slurm makes before it starts a requeued job."""

    def trains() -> str | None:
        for row in slurm.run("squeue", "-h", "-t", "PENDING", "-o", "%i %r").splitlines():
            job, reason = row.split(maxsplit=1)
            # The node refuses a job of which something is still there.
            there = ("pgrep", "-f", rf"^slurmstepd: \[{job}\.")
            if reason == "BeginTime" and subprocess.run(there, capture_output=True).returncode:
                slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")
        return training(slurm)

    return run.until(trains, "the training to start again")


@pytest.mark.long
def test_a_study_that_is_disturbed_in_every_way(slurm, tmp_path) -> None:
    quiet, project = (Project(tmp_path / name) for name in ("quiet", "cluster"))
    for each in (quiet, project):
        small(each, steps=600)
    log = tmp_path / "log"
    undisturbed = Run(quiet, tmp_path / "quiet.log", "--cores", "all", "--", SCORES)
    run = Run(project, log, *PROFILE, "--", SCORES)
    job = run.until(lambda: training(slurm), "the training")
    run.until(saved_after(project, 0), "a state of the training")
    # Somebody more important takes the whole node.
    urgent = ("sbatch", "--parsable", "-p", "urgent", "-c", "4", "--mem=100", "--output=/dev/null")
    other = slurm.run(*urgent, "--wrap", "sleep 2").strip()
    run.until(lambda: job in slurm.jobs("PENDING"), "the training to be preempted")
    run.until(lambda: other not in slurm.jobs(), "the other job to end")
    assert start_again(slurm, run) == job
    run.until(saved_after(project, time.time()), "another state of the training")

    # The node dies, and comes back.
    slurm.lose_node()
    run.until(lambda: training(slurm) is None, "Slurm to know that the job is lost")
    slurm.start_node()
    start_again(slurm, run)
    run.until(saved_after(project, time.time()), "another state of the training")

    # Snakemake dies, its job goes on, and the next run's job takes what it makes.
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()
    # The same, put back by Slurm, or another one that Snakemake had submitted.
    job = training(slurm)
    assert job is not None
    run = Run(project, log, *PROFILE, "--", SCORES)
    run.until(lambda: training(slurm) not in (None, job), "the next run's training")

    # Ctrl-C cancels the jobs that it knows. It ends with its next look at them, which may be late.
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ended(240) != 0
    assert "without a word" not in run.said()
    end = time.monotonic() + 60
    while set(slurm.jobs()) - {job}:
        assert time.monotonic() < end, slurm.run("squeue")
        time.sleep(0.5)
    run = Run(project, log, *PROFILE, "--", SCORES)
    assert run.ended() == 0, run.said()
    assert undisturbed.ended() == 0, undisturbed.said()
    assert differing(quiet.folder / "results", project.folder / "results") == []


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        (
            "profiles/slurm/profile.yaml",
            {"default-resources": {"slurm_partition": "SET_ME"}},
            "slurm_partition is not set; set it to one of main, urgent",
        ),
        (
            "profiles/slurm/profile.yaml",
            {"set-resources": {"train": {"runtime": 300}}},
            "train rigsa 0 0 needs about 1 minutes by its forecast, and partition main allows 120",
        ),
        ("config.yaml", {"device": "cuda"}, "gpu_card is not set"),
        (
            "config.yaml",
            {"device": "cuda", "gpu_card": "rtx4090", "gpus": 3},
            "train rigsa 0 0 needs 3 GPU, and partition main has 2 on a node",
        ),
    ],
)
def test_what_is_refused_before_anything_is_submitted(slurm, tmp_path, file, change, sentence):
    project, log = Project(tmp_path / "cluster"), tmp_path / "log"
    small(project, steps=20)
    gpus = change.pop("gpus", 1)
    project.edit(file, lambda content: content.update(change))
    project.edit("studies/embedded.yaml", lambda content: content["training"].update(gpus=gpus))
    assert Run(project, log, *PROFILE).ended() != 0
    assert sentence in log.read_text()
    assert slurm.jobs() == []


def test_a_node_that_does_not_see_the_folder(slurm, tmp_path) -> None:
    project, log = Project(tmp_path / "cluster"), tmp_path / "log"
    small(project, steps=20)
    project.edit("profiles/slurm/profile.yaml", lambda content: content.update(retries=0))
    slurm.start_node(without=project.folder)
    try:
        assert Run(project, log, *PROFILE).ended() != 0
    finally:
        slurm.start_node()
    assert "does not see" in log.read_text()
