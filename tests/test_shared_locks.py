"""Locks that others may spoil, but not turn against a user's files."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rigsa.errors import RigsaError
from rigsa.shared_locks import SharedLocks


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everybody_may_lock_whatever_ones_own_rights_are(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        SharedLocks(tmp_path / "locks").take("card", "me")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert mode(tmp_path / "locks") == 0o1777
    assert mode(tmp_path / "locks/card") == 0o666


def test_a_lock_is_held_until_its_file_is_closed(tmp_path: Path) -> None:
    mine, others = SharedLocks(tmp_path / "locks"), SharedLocks(tmp_path / "locks")
    file = mine.take("card", "a long name of a job that is at work")
    assert others.take("card", "others") is None
    assert others.holder("card") == "a long name of a job that is at work"
    os.close(file)
    assert others.holder("card") is None
    assert others.take("card", "others") is not None
    assert mine.holder("card") == "others"


def test_what_others_say_is_shown_letter_by_letter(tmp_path: Path) -> None:
    locks = SharedLocks(tmp_path / "locks")
    locks.take("card", "\x1b[2Jme\nand\u202eyou" + "ü" * 300)
    assert SharedLocks(tmp_path / "locks").holder("card").startswith("�[2Jme and�you")
    (tmp_path / "locks/card").write_bytes(b"\xff\x00")
    assert locks.holder("card") == "� �".replace(" ", "")


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_link_to_a_users_file_is_refused(tmp_path: Path, make) -> None:
    precious = tmp_path / "precious"
    precious.write_text("thesis")
    locks = SharedLocks(tmp_path / "locks")
    make(precious, tmp_path / "locks/card")
    with pytest.raises(RigsaError, match="let RIGSA_GPU_LOCKS name a folder"):
        locks.take("card", "me")
    assert precious.read_text() == "thesis"


def test_a_pipe_does_not_keep_anybody(tmp_path: Path) -> None:
    locks = SharedLocks(tmp_path / "locks")
    os.mkfifo(tmp_path / "locks/card")
    with pytest.raises(RigsaError, match="card is no file of its own"):
        locks.take("card", "me")


def test_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "home")
    with pytest.raises(RigsaError, match=f"of the GPUs cannot be kept in {tmp_path}/locks"):
        SharedLocks(tmp_path / "locks")
    with pytest.raises(RigsaError, match="No such file or directory"):
        SharedLocks(tmp_path / "no/locks")


def test_a_lock_whose_file_was_cleaned_away_is_no_lock(tmp_path: Path, monkeypatch) -> None:
    locks, others = SharedLocks(tmp_path / "locks"), SharedLocks(tmp_path / "locks")
    opened = SharedLocks._open

    def cleaned(self: SharedLocks, name: str) -> int:
        file = opened(self, name)
        monkeypatch.undo()
        (tmp_path / "locks" / name).unlink()
        return file

    monkeypatch.setattr(SharedLocks, "_open", cleaned)
    assert locks.take("card", "me") is not None
    assert others.take("card", "others") is None


def test_cleaners_of_temporary_folders_leave_it_alone(tmp_path: Path) -> None:
    """systemd-tmpfiles goes into no folder that somebody else has locked."""
    SharedLocks(tmp_path / "locks")
    clean = (
        "import fcntl, os, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    done = subprocess.run(
        [sys.executable, "-c", clean, tmp_path / "locks"], capture_output=True, check=False
    )
    assert b"BlockingIOError" in done.stderr
