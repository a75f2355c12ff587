"""Reads the record of how a result was made (provenance.py writes it)."""

from pathlib import Path
from typing import Any

from rigsa.errors import FileError
from rigsa.files import read_json
from rigsa.paths import record


def read_record(main: Path) -> dict[str, Any]:
    """How the result with this main file was made; FileError where nothing says it."""
    content = read_json(record(main))
    if not isinstance(content, dict) or not isinstance(content.get("spec"), dict):
        raise FileError(
            f"{record(main)} is no record of how a result was made; delete it, and the next run "
            "makes the result again."
        )
    return content
