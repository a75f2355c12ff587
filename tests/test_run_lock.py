"""Two runs never make the same files; a killed run leaves nothing that would stop the next."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from rigsa.errors import RigsaError
from rigsa.run_lock import lock_run

HOLD = """
import sys, time
from pathlib import Path
from rigsa.run_lock import lock_run
held = lock_run(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "shared")
print("held", flush=True)
time.sleep(60)
"""


def _other_run(results: Path, study: str, what: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(results), study, what], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_run_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    first = _other_run(tmp_path, "paper", "own")
    said = rf"another run is at work in {tmp_path}/paper: process {first.pid} on .*, since 20"
    with pytest.raises(RigsaError, match=said):
        lock_run(tmp_path, "paper", makes_shared=False)
    # Other studies are no concern of it, unless they make what it reads.
    lock_run(tmp_path, "mnist", makes_shared=False)
    with pytest.raises(RigsaError, match=rf"another run is at work in {tmp_path}: process"):
        lock_run(tmp_path, "mnist", makes_shared=True)
    first.kill()
    first.wait()
    lock_run(tmp_path, "paper", makes_shared=True)


def test_who_makes_what_is_shared_is_alone(tmp_path: Path) -> None:
    first = _other_run(tmp_path, "paper", "shared")
    with pytest.raises(RigsaError, match="wait for its end or stop it"):
        lock_run(tmp_path, "mnist", makes_shared=False)
    first.kill()
    first.wait()


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch) -> None:
    def without(file: object, kind: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", without)
    with pytest.raises(RigsaError, match=r"cannot be locked \(Function not implemented\); mount"):
        lock_run(tmp_path, "paper", makes_shared=False)
