"""The task-data job: a task's items as JSON lines, with counts and hashes."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.files import write_json, write_jsonl

logger = logging.getLogger(__name__)


def make_task_data(spec: Mapping[str, Any], output: Path) -> None:
    """Writes train.jsonl, validation.jsonl, test.jsonl and info.json into `output`."""
    splits = _splits(spec)
    info: dict[str, Any] = {"spec": spec, "counts": {}, "sha256": {}}
    for split, docs in splits.items():
        path = output / f"{split}.jsonl"
        write_jsonl(path, docs)
        info["counts"][split] = len(docs)
        info["sha256"][split] = hashlib.sha256(path.read_bytes()).hexdigest()
    write_json(output / "info.json", info)
    logger.info("%s: %s", spec["task"], ", ".join(f"{n} {s}" for s, n in info["counts"].items()))


def _splits(spec: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    if "generator" in spec:
        from rigsa.tasks.generated import generate

        return generate(spec["generator"], spec["seed"], spec["counts"])
    from rigsa.tasks import textual_digits

    return getattr(textual_digits, spec["images"])(spec["seed"])
