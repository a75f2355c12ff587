"""The task-data job: a task's items as JSON lines, with counts and hashes."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.files import write_json, write_jsonl
from rigsa.tasks.stock import SPLITS

logger = logging.getLogger(__name__)


def make_task_data(spec: Mapping[str, Any], output: Path, given: Path | None = None) -> None:
    """Writes train.jsonl, validation.jsonl, test.jsonl and info.json into `output`.

    `given` is what the task is made from, if anything: the folder that `rigsa fetch` filled, or the
    whole task's folder for a subset. A split that the task does not have is an empty file.
    """
    splits = _splits(spec, given)
    info: dict[str, Any] = {"spec": spec, "counts": {}, "sha256": {}}
    for split in SPLITS:
        docs = splits.get(split, [])
        path = output / f"{split}.jsonl"
        write_jsonl(path, docs)
        info["counts"][split] = len(docs)
        info["sha256"][split] = hashlib.sha256(path.read_bytes()).hexdigest()
    write_json(output / "info.json", info)
    logger.info("%s: %s", spec["task"], ", ".join(f"{n} {s}" for s, n in info["counts"].items()))


def _splits(spec: Mapping[str, Any], given: Path | None) -> dict[str, list[dict[str, Any]]]:
    if "stock" in spec or spec.get("images") == "mnist" or "subset_of" in spec:
        from rigsa.tasks import given as rows

        return rows.splits(spec, given)
    if "generator" in spec:
        from rigsa.tasks.generated import generate

        return generate(spec["generator"], spec["seed"], spec["counts"])
    from rigsa.tasks import textual_digits

    return getattr(textual_digits, spec["images"])(spec["seed"])
