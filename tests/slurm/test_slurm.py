"""A study through a real Slurm: disturbed in every way it knows, and equal to a local run's."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.faults.compare import differing
from tests.slurm.one_node import OneNode, missing
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


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[OneNode]:
    reason = missing()
    if reason:
        pytest.skip(f"no Slurm here: {reason}")
    with OneNode(tmp_path_factory.mktemp("s")) as node:
        yield node


@pytest.fixture(scope="module")
def accounting(tmp_path_factory) -> Iterator[OneNode]:
    """The same with accounts; after the other one, as a machine has room for one of them."""
    reason = missing(accounting=True)
    if reason:
        pytest.skip(f"no Slurm with accounting here: {reason}")
    with OneNode(tmp_path_factory.mktemp("s"), accounting=True) as node:
        yield node


class Run:
    """A run of Snakemake in the background, with what it prints."""

    begun: ClassVar[list["Run"]] = []

    def __init__(self, project: Project, log: Path, *targets: str) -> None:
        self.project, self.log = project, log
        self.process = project.started(*PROFILE, "--", *targets, output=log)
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


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """A test that fails leaves no run behind, and no jobs."""
    yield
    for run in Run.begun:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
    Run.begun.clear()
    if missing() is not None and shutil.which("scancel"):
        subprocess.run(["scancel", "--user", str(os.getuid())], check=False)


def training(slurm: OneNode) -> str | None:
    """The number of the job that trains."""
    rows = slurm.run("squeue", "-h", "-t", "RUNNING", "-o", "%i %k").splitlines()
    return next((row.split()[0] for row in rows if "rule_train" in row), None)


def saved_after(project: Project, moment: float) -> Callable[[], bool]:
    """Whether the training has saved its state since."""
    state = project.folder / TRAINING
    return lambda: state.exists() and state.stat().st_mtime > moment


def start_again(slurm: OneNode, run: Run, job: str) -> None:
    """Ends the pause of two minutes that Slurm makes before it starts a requeued job."""
    # The node refuses a job of which something is still there.
    steps = ("pgrep", "-f", rf"^slurmstepd: \[{job}\.")
    run.until(lambda: subprocess.run(steps, stdout=subprocess.DEVNULL).returncode, "its end")
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    run.until(lambda: training(slurm) == job, "the training to start again")


def test_a_study_that_is_disturbed_in_every_way(slurm, tmp_path) -> None:
    quiet, project = (Project(tmp_path / name) for name in ("quiet", "cluster"))
    for each in (quiet, project):
        small(each, steps=600)
    log = tmp_path / "log"
    undisturbed = quiet.started("--cores", "all", "--", SCORES, output=tmp_path / "quiet.log")
    run = Run(project, log, SCORES)
    job = run.until(lambda: training(slurm), "the training")
    run.until(saved_after(project, 0), "a state of the training")
    # Somebody more important takes the whole node.
    urgent = ("sbatch", "--parsable", "-p", "urgent", "-c", "4", "--mem=100", "--output=/dev/null")
    other = slurm.run(*urgent, "--wrap", "sleep 2").strip()
    run.until(lambda: job in slurm.jobs("PENDING"), "the training to be preempted")
    run.until(lambda: other not in slurm.jobs(), "the other job to end")
    start_again(slurm, run, job)
    run.until(saved_after(project, time.time()), "another state of the training")

    # The node dies, and comes back.
    slurm.run("scontrol", "update", f"NodeName={slurm.host}", "State=DOWN", "Reason=test")
    run.until(lambda: job in slurm.jobs("PENDING"), "the job of the dead node to wait")
    slurm.bring_back()
    start_again(slurm, run, job)
    run.until(saved_after(project, time.time()), "another state of the training")

    # Snakemake dies, its job goes on, and the next run's job takes what it makes.
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert training(slurm) == job
    run = Run(project, log, SCORES)
    run.until(lambda: training(slurm) not in (None, job), "the next run's training")

    # Ctrl-C cancels the jobs that it knows. It ends with its next look at them, which may be late.
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ended(240) != 0
    assert "without a word" not in run.said()
    end = time.monotonic() + 60
    while set(slurm.jobs()) - {job}:
        assert time.monotonic() < end, slurm.run("squeue")
        time.sleep(0.5)
    run = Run(project, log, SCORES)
    assert run.ended() == 0, run.said()
    assert undisturbed.wait() == 0, (tmp_path / "quiet.log").read_text()[-3000:]
    assert differing(quiet.folder / "results", project.folder / "results") == []
    text = (project.folder / "results/embedded/logs/train-rigsa-seed0-step0.log").read_text()
    assert "step" in text


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
    assert Run(project, log).ended() != 0
    assert sentence in log.read_text()
    assert slurm.jobs() == []


def test_a_node_that_does_not_see_the_folder(slurm, tmp_path) -> None:
    project, log = Project(tmp_path / "cluster"), tmp_path / "log"
    small(project, steps=20)
    project.edit("profiles/slurm/profile.yaml", lambda content: content.update(retries=0))
    slurm.start_node(without=project.folder)
    try:
        assert Run(project, log).ended() != 0
    finally:
        slurm.start_node()
    assert "does not see" in log.read_text()


def test_a_training_that_runs_out_of_time(accounting, tmp_path) -> None:
    project, log = Project(tmp_path / "cluster"), tmp_path / "log"
    small(project, steps=4000, account="lab")
    last = "results/embedded/arms/rigsa/seed0/step0/training.json"
    run = Run(project, log, last)
    job = run.until(lambda: training(accounting), "the training")
    run.until(saved_after(project, 0), "a state of the training")
    asked = _minutes(accounting, job)
    accounting.run("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    again = run.until(lambda: (other := training(accounting)) != job and other, "the next", 240)
    first, second = (_minutes(accounting, number) for number in (job, again))
    assert (first, second) == (1, 2 * asked)
    assert run.ended() == 0, run.said()
    text = (project.folder / "results/embedded/logs/train-rigsa-seed0-step0.log").read_text()
    assert "going on after step" in text


def _minutes(slurm: OneNode, job: str) -> int:
    """The time limit of a job, as hours:minutes:seconds in Slurm's words."""
    limit = slurm.run("sacct", "-nX", "-j", job, "-o", "timelimit").strip()
    hours, minutes, _ = limit.split(":")
    return 60 * int(hours) + int(minutes)
