"""Hashes of files, of whatever size."""

import hashlib
from pathlib import Path


def file_hash(path: Path) -> str:
    """sha256 of the file's content, 64 hexadecimal digits, read piece by piece."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
