"""What a file holds, as a short text that changes with any bit of it."""

import hashlib
from functools import cache
from pathlib import Path

from rigsa.errors import FileError


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hexadecimal digits. Raises FileError where it is missing.

    A process reads a file once, as long as nobody writes it.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        raise FileError(f"{path} is missing; the step that makes it has not run.") from None
    return _hash(path, there.st_ino, there.st_size, there.st_mtime_ns)


@cache
def _hash(path: Path, *there: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
