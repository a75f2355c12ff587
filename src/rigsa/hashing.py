"""What a file holds, as a short text that changes with any bit of it."""

import hashlib
from pathlib import Path

from rigsa.errors import FileError


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hexadecimal digits. Raises FileError where it is missing."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise FileError(f"{path} is missing; the step that makes it has not run.") from None
