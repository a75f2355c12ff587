"""Locks that all users of a machine share; a process that dies, in whatever way, leaves none."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rigsa.errors import RigsaError
from rigsa.printable import printable

# Of what a holder says about itself, in bytes.
LENGTH = 240


class SharedLocks:
    """One file per lock, in a folder where anybody may make files.

    Others' files are not trusted: links are not followed, and nothing is ever truncated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._said(), _for_everybody():
            with suppress(FileExistsError):
                path.mkdir(mode=0o1777)
            self.folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        # systemd-tmpfiles removes from /tmp what is old, unless its folder is locked.
        with suppress(BlockingIOError):
            fcntl.flock(self.folder, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def take(self, name: str, words: str) -> int | None:
        """The open file that holds the lock, or None where another process does.

        The lock is free when the file is closed in every process that has inherited it.

        Args:
            words: who holds it, for those who wait.
        """
        with self._said():
            while True:
                file = self._open(name)
                if not _locked(file, fcntl.LOCK_EX):
                    os.close(file)
                    return None
                if self._is(name, file):
                    # Of one length, so that nothing of the words before is left.
                    text = words.encode()[:LENGTH].ljust(LENGTH)
                    with suppress(OSError):  # A full disk; the lock is what counts.
                        os.pwrite(file, text, 0)
                    return file
                os.close(file)

    def holder(self, name: str) -> str | None:
        """What the process says that has the lock, or None where it is free."""
        with self._said():
            file = self._open(name)
            try:
                if _locked(file, fcntl.LOCK_SH):
                    return None
                text = os.pread(file, LENGTH, 0).decode(errors="replace")
            finally:
                os.close(file)
        return " ".join(printable(text).split()) or "a process that does not say"

    def _open(self, name: str) -> int:
        # Not blocking: a pipe in the file's place would keep whoever opens it.
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        while True:
            try:
                file = os.open(name, flags, dir_fd=self.folder)
            except FileNotFoundError:
                # Only now O_CREAT: Linux refuses it for another user's file (fs.protected_regular).
                with suppress(FileExistsError), _for_everybody():
                    made = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=self.folder)
                    os.close(made)
                continue
            found = os.fstat(file)
            # A second name would be of a file that is elsewhere.
            if stat.S_ISREG(found.st_mode) and found.st_nlink < 2:
                return file
            os.close(file)
            raise PermissionError(0, f"{name} is no file of its own")

    def _is(self, name: str, file: int) -> bool:
        """Whether the file still has its name: cleaners of temporary folders may take it."""
        try:
            there = os.stat(name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(file))

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RigsaError(
                f"the locks of the GPUs cannot be kept in {self.path} ({error.strerror}); let "
                "RIGSA_GPU_LOCKS name a folder where all users of this machine may make files."
            ) from None


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _for_everybody() -> Iterator[None]:
    """Within it, what is made has the rights that are asked for, at once."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)
