"""SHA-256 of files, to tell whether an input is still the same."""

import hashlib
from pathlib import Path

# Without what tells of their making: it holds times.
MODEL_FILES = ("*.safetensors", "config.json", "tokenizer*")


def file_hash(path: Path) -> str:
    """64 hexadecimal digits for the bytes of a file, however large it is."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_hash(folder: Path) -> str:
    """The same for a model folder: its weights, configuration and tokenizer."""
    files = sorted(file for pattern in MODEL_FILES for file in folder.glob(pattern))
    text = "".join(f"{file.name} {file_hash(file)}\n" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()
