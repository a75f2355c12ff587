"""Never two jobs on one card: not of two runs, not after a kill, not while a child of it lives."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import rigsa.leases
from rigsa.cards import Card
from rigsa.cli import main
from rigsa.errors import RigsaError
from rigsa.leases import enough, held_fds, take_cards
from rigsa.shared_locks import SharedLocks
from tests.conftest import ROOT
from tests.nvidia_smi import SPLIT, listing, pretend, uuids

JOB = """\
import logging, os, subprocess, sys, time
import rigsa.leases
from rigsa.leases import held_fds, take_cards
from rigsa.resume.interrupt import Stopped, listen
listen()
rigsa.leases.SAY = 0.2
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
try:
    take_cards(int(sys.argv[1]), sys.argv[2])
except Stopped as stop:
    sys.exit(128 + stop.signal)
for command in sys.argv[3:]:
    subprocess.Popen(command.split(), pass_fds=held_fds())
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
time.sleep(60)
"""
SCHEDULED = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "SGE_JOB_SPOOL_DIR")


class Machine:
    """With GPUs that are made up. `job` starts a process that takes some and keeps them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[subprocess.Popen[str]] = []
        self.locks = SharedLocks(folder / "locks")

    def has(self, *cards: str) -> None:
        pretend(self.folder / "bin", listing(cards))

    def job(
        self, count: int, *arguments: str, visible: str | None = None
    ) -> "subprocess.Popen[str]":
        environment = dict(os.environ)
        if visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible
        command = [sys.executable, "-c", JOB, str(count), *(arguments or ["a job"])]
        job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.jobs.append(job)
        return job


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for variable in ("CUDA_DEVICE_ORDER", "SGE_HGR_gpu", *rigsa.leases.SCHEDULERS):
        monkeypatch.delenv(variable, raising=False)
    # Set first, so that what a lease makes of it is undone as well.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("RIGSA_GPU_LOCKS", str(tmp_path / "locks"))
    held: list[int] = []
    monkeypatch.setattr(rigsa.leases, "_held", held)
    machine = Machine(tmp_path)
    machine.has(*uuids(2))
    yield machine
    for job in machine.jobs:
        job.kill()
        job.wait()
        job.stdout.close()
    for file in held:
        os.close(file)


def cards_of(job: "subprocess.Popen[str]") -> list[str]:
    """The cards that a job has taken; waits for it."""
    line = next(line for line in job.stdout if line.startswith("GPU-"))
    return line.strip().split(",")


def waits(job: "subprocess.Popen[str]") -> str:
    """What a job says that waits for cards."""
    line = job.stdout.readline()
    assert line.startswith("waits for"), line
    return line


def wait_until_kept(machine: Machine, card: str, job: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 30
    while f"process {job.pid} of" not in (machine.locks.holder(card) or ""):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_jobs_have_two_cards_and_a_third_waits(machine: Machine) -> None:
    first, second = uuids(2)
    holders = [machine.job(1, "rigsa train results/a"), machine.job(1, "rigsa train results/b")]
    taken = [cards_of(job) for job in holders]
    assert sorted(taken) == [[first], [second]]
    third = machine.job(1)
    said = waits(third)
    assert said.startswith("waits for 1 of these GPUs to be free: NVIDIA Pretended (GPU-")
    for job, work, cards in zip(holders, "ab", taken, strict=True):
        assert f"({cards[0]}): process {job.pid} of " in said
        assert f", rigsa train results/{work}" in said
    holders[1].kill()
    assert cards_of(third) == taken[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wait_ends_by_a_signal_at_once(machine: Machine, number) -> None:
    machine.has(*uuids(1))
    cards_of(machine.job(1))
    waiting = machine.job(1)
    waits(waiting)
    began = time.monotonic()
    waiting.send_signal(number)
    assert waiting.wait(10) == 128 + number
    assert time.monotonic() - began < 1


def test_a_card_is_not_free_while_a_child_has_its_lock(machine: Machine) -> None:
    (card,) = uuids(1)
    machine.has(card)
    job = machine.job(1, "a job", "sleep 1.5")
    cards_of(job)
    job.kill()
    job.wait()
    next_job = machine.job(1)
    assert f"process {job.pid} of" in waits(next_job)
    assert cards_of(next_job) == [card]


def test_a_job_for_several_cards_is_not_overtaken(machine: Machine) -> None:
    """It keeps what becomes free, so that jobs of one card do not take it away for ever."""
    machine.has(*uuids(2))
    first, second = machine.job(1), machine.job(1)
    (freed,), _ = cards_of(first), cards_of(second)
    several = machine.job(2)
    waits(several)
    first.kill()
    wait_until_kept(machine, freed, several)
    later = machine.job(1)
    assert f"({freed}): process {several.pid} of" in waits(later)
    second.kill()
    assert cards_of(several) == uuids(2)
    several.kill()
    assert len(cards_of(later)) == 1


def test_two_jobs_for_all_cards_do_not_wait_for_each_other(machine: Machine) -> None:
    holder = machine.job(1)
    cards_of(holder)
    several = [machine.job(2), machine.job(2, visible=",".join(reversed(uuids(2))))]
    for job in several:
        waits(job)
    holder.kill()
    ready, _, _ = select.select([job.stdout for job in several], [], [], 30)
    for job in sorted(several, key=lambda job: job.stdout not in ready):
        assert sorted(cards_of(job)) == uuids(2)
        job.kill()


def test_who_waits_for_some_cards_keeps_nobody_from_others(machine: Machine) -> None:
    one, two, three = uuids(3)
    machine.has(one, two, three)
    cards_of(machine.job(1, visible=one))
    cards_of(machine.job(1, visible="1"))
    for count in (1, 2):
        waits(machine.job(count, visible=f"{one},{two}"))
    assert cards_of(machine.job(1)) == [three]


def test_a_job_keeps_its_cards_and_their_order(machine: Machine, monkeypatch) -> None:
    first, second = uuids(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{second[:12]},{first[:12]}")
    take_cards(2, "this test")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == f"{second},{first}"
    for card in (first, second):
        assert f"process {os.getpid()} of" in machine.locks.holder(card)
    files = held_fds()
    take_cards(2, "this test")
    assert held_fds() == files
    assert len(files) == 3  # The folder of the locks is one.


@pytest.mark.parametrize("variable", SCHEDULED)
def test_what_a_scheduler_has_assigned_is_left_alone(machine, monkeypatch, variable) -> None:
    monkeypatch.setenv(variable, "4711")
    take_cards(2, "a job of two")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    take_cards(1, "a job of one")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"
    assert held_fds() == ()
    assert not machine.locks.holder(uuids(1)[0])


def test_in_an_allocation_of_several_cards_each_job_has_its_own(machine, monkeypatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    cards_of(machine.job(1, visible="0,1"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    take_cards(1, "a job of one")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == uuids(2)[1]


def test_what_grid_engine_has_granted_is_visible(machine: Machine, monkeypatch) -> None:
    monkeypatch.setenv("SGE_JOB_SPOOL_DIR", "/var/spool/sge")
    monkeypatch.setenv("SGE_HGR_gpu", "1")
    take_cards(1, "a job")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


def test_more_cards_than_there_are_is_said(machine: Machine, monkeypatch) -> None:
    with pytest.raises(RigsaError, match="a job needs 3 GPUs, but 2 are visible here; let it have"):
        take_cards(3, "a job")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(RigsaError, match=r"2 GPUs, but 1 are visible here \(CUDA_VISIBLE_DEVICES"):
        take_cards(2, "a job")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-nobody")
    with pytest.raises(RigsaError, match=r"no GPU is visible here \(CUDA_VISIBLE_DEVICES is 'GPU-"):
        take_cards(1, "a job")


def test_an_instance_is_for_jobs_of_one_card(machine: Machine) -> None:
    parts = [Card("MIG-a", "part"), Card("MIG-b", "part"), Card("GPU-c", "whole")]
    assert enough(parts, 1) == parts
    with pytest.raises(RigsaError, match="2 GPUs, but 1 are visible here, MIG instances aside"):
        enough(parts, 2)
    pretend(machine.folder / "bin", SPLIT)
    take_cards(1, "a job")
    assert os.environ["CUDA_VISIBLE_DEVICES"].startswith("MIG-ce861fb0")


def test_a_step_takes_its_cards_before_it_runs(project_root, monkeypatch, capsys) -> None:
    asked = []
    monkeypatch.setattr(rigsa.leases, "take_cards", lambda *given: asked.append(given))
    arguments = [
        "evaluate",
        "{}",
        "--base-model",
        "b",
        "--task-data",
        "t",
        "--output",
        "out/a.json",
    ]
    for device in ("cpu", "cuda"):
        assert main([*arguments, "--device", device]) == 1
        capsys.readouterr()
    assert asked == [(1, "rigsa evaluate out/a.json")]


def test_hundreds_of_jobs_of_two_runs_never_share_a_card() -> None:
    # A process of its own: it forks, which threads of other tests would not survive.
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.leases", "--jobs", "200", "--cards", "4"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["two_on_a_card"] == []
    assert found["not_free_at_the_end"] == []
    assert sum(found["ended"].values()) == 200
    # Killed, or asked to stop; before a job listens, the signal itself ends it.
    assert set(found["ended"]) <= {"0", "-9", "130", "143", "-2", "-15"}, done.stderr
    assert found["ended"]["0"] < 200
    assert found["of_two_cards"] > 20
    assert found["waited"] > 20
    assert found["most_cards_at_once"] == 4
