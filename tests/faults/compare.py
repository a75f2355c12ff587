"""Two results folders: every file that is the same in any two runs must be the same bytes."""

import csv
import io
import json
from pathlib import Path
from typing import Any

# Keys and columns that tell of time, memory and place.
PASSING = {
    "evaluation_seconds",
    "finished",
    "peak_memory_bytes",
    "seconds",
    "step_seconds",
    "tokens_per_second",
    "training_seconds",
}
# Folders, a lock, and Snakemake's report, which tells of when and how long as well.
LEFT_OUT = {"logs", "cache", "unfinished", ".lock", "report.html"}


def files(results: Path) -> list[Path]:
    """Relative paths of all results."""
    found = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return sorted(path for path in found if not LEFT_OUT & set(path.parts))


def differing(first: Path, second: Path) -> list[str]:
    """Files that only one of them has, and files that differ, with how many bytes."""
    there, here = files(first), files(second)
    missing = [f"{path}: only in one of them" for path in set(there) ^ set(here)]
    wrong = []
    for path in sorted(set(there) & set(here)):
        one, other = (_lasting(folder / path) for folder in (first, second))
        if one != other:
            count = sum(a != b for a, b in zip(one, other, strict=False)) + abs(
                len(one) - len(other)
            )
            wrong.append(f"{path}: {count} bytes differ")
    return sorted(missing) + wrong


def _lasting(path: Path) -> bytes:
    """A file's content without what passes."""
    if path.suffix == ".json":
        return json.dumps(_without(json.loads(path.read_text())), indent=1).encode()
    if path.suffix == ".jsonl":
        rows = [_without(json.loads(line)) for line in path.read_text().split("\n") if line]
        return "\n".join(map(json.dumps, rows)).encode()
    if path.name == "scores.csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        return json.dumps([_without(row) for row in rows], indent=1).encode()
    return path.read_bytes()


def _without(content: Any) -> Any:
    if isinstance(content, dict):
        # Records hold hashes by path: those of files that tell of time are passing as well.
        return {
            key: _without(value)
            for key, value in content.items()
            if key not in PASSING and not key.endswith((".json", ".jsonl", "/scores.csv"))
        }
    return [_without(item) for item in content] if isinstance(content, list) else content
