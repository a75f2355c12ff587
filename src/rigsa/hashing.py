"""SHA-256 of files, to tell whether an input is still the same."""

import hashlib
from pathlib import Path


def file_hash(path: Path) -> str:
    """64 hexadecimal digits for the bytes of a file, however large it is."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
