"""Files are there whole or not at all, and a killed writer's leavings go with the next one."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rigsa.files import hard_link, whole_file, whole_folder, write_text

DIE = """
import os, sys
from pathlib import Path
from rigsa.files import whole_file, whole_folder
with whole_file(Path(sys.argv[1]) / "a.json") as file, whole_folder(Path(sys.argv[1]) / "b") as b:
    file.write_text("half"); (b / "c").write_text("half")
    if sys.argv[2] == "die":
        os._exit(9)
    print("held", flush=True)
    sys.stdin.readline()
"""


def _writer(folder: Path, how: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", DIE, str(folder), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "whole")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a") as partial:
        partial.write_text(str(1 / 0))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "whole"
    (tmp_path / "plain").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    assert _writer(tmp_path, "die").wait() == 9
    assert len(list(tmp_path.iterdir())) == 3  # a file, a folder and its lock
    with whole_file(tmp_path / "a.json") as partial:
        partial.write_text("whole")
    with whole_folder(tmp_path / "b") as partial:
        (partial / "c").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b"]


def test_another_writer_at_work_is_left_alone(tmp_path: Path) -> None:
    other = _writer(tmp_path, "wait")
    assert other.stdout.readline() == b"held\n"
    write_text(tmp_path / "a.json", "mine")
    assert (tmp_path / "a.json").read_text() == "mine"
    other.communicate(b"\n")
    assert other.returncode == 0
    assert (tmp_path / "a.json").read_text() == "half"  # The last one, and whole.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b"]


def test_a_second_name_is_given_as_often_as_one_likes(tmp_path) -> None:
    source, target = tmp_path / "source", tmp_path / "there" / "target"
    source.write_text("whole")
    for _ in range(2):
        hard_link(source, target)
    assert target.samefile(source)
    # POSIX renames nothing where both are names of one file; the name in between would stay.
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    source.unlink()
    source.write_text("another")
    hard_link(source, target)
    assert target.read_text() == "another"


def test_only_files_are_locked_that_nfs_locks_for_all_nodes(tmp_path: Path, monkeypatch) -> None:
    """There an exclusive lock is one for writing (flock(2)), for which no folder can be opened."""
    flock, locked = fcntl.flock, []

    def as_nfs_does(handle: int, kind: int) -> None:
        if kind & fcntl.LOCK_EX and fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        locked.append(kind)
        flock(handle, kind)

    assert _writer(tmp_path, "die").wait() == 9
    monkeypatch.setattr(fcntl, "flock", as_nfs_does)
    write_text(tmp_path / "a.json", "whole")
    with whole_folder(tmp_path / "b") as partial:
        (partial / "c").write_text("whole")
    assert len(locked) == 4
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "b", "c"]
