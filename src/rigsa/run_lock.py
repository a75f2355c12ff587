"""One run at a time makes the same files; a run that dies, in whatever way, leaves no lock."""

import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rigsa.errors import RigsaError


def lock_run(results: Path, study: str, makes_shared: bool) -> list[TextIO]:
    """Takes the locks of a run, which are held as long as the files that it returns are open.

    Runs of several studies may work in one results folder, but a run that makes what studies share
    (`makes_shared`: base models, task data) is alone there. Raises RigsaError where another run is
    at work.
    """
    return [
        _lock(results / ".lock", fcntl.LOCK_EX if makes_shared else fcntl.LOCK_SH),
        _lock(results / study / ".lock", fcntl.LOCK_EX),
    ]


def _lock(path: Path, kind: int) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+")  # noqa: SIM115
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise RigsaError(
            f"another run is at work in {path.parent}: {file.read().strip() or 'it does not say'}; "
            "wait for its end or stop it."
        ) from None
    except OSError as error:
        raise RigsaError(
            f"{path.parent} cannot be locked ({error.strerror}); mount its file system with locks "
            "(Lustre: -o flock)."
        ) from None
    file.seek(0)
    file.truncate()
    began = datetime.now().astimezone().isoformat(" ", "minutes")
    file.write(f"process {os.getpid()} on {socket.gethostname()}, since {began}\n")
    file.flush()
    return file
