"""Which base model a folder holds, in a form that can be written down and compared."""

from pathlib import Path
from typing import Any

from rigsa.files import read_json
from rigsa.hashing import file_hash

# All that a model or a tokenizer is loaded from.
KINDS = (".safetensors", ".json", ".jinja", ".txt", ".model")
# What says where the model came from, or how its training went.
ABOUT = ("source.json", "training.json")


def identity(folder: Path) -> dict[str, Any]:
    """The commit of the hub that the folder was fetched from, or the hash of every file."""
    origin = folder / "source.json"
    if origin.is_file():
        source = read_json(origin)
        # A commit names its files' content already, and the files may have many gigabytes.
        if "commit" in source:
            return source
    files = sorted(path for path in folder.glob("*") if path.suffix in KINDS)
    return {path.name: file_hash(path) for path in files if path.name not in ABOUT}
