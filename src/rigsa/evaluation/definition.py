"""All that an evaluation's answers depend on, so that none is taken over from another one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.hashing import file_hash
from rigsa.machine import Machine
from rigsa.models.identity import identity
from rigsa.paths import ADAPTER_FILES
from rigsa.resume.unfinished import made_from
from rigsa.tasks.stock import SPLITS


def definition(
    spec: Mapping[str, Any],
    base_model: Path,
    task_data: Path,
    adapter: Path | None,
    machine: Machine,
) -> dict[str, Any]:
    """By the words that name each part. Raises FileError where the adapter is missing.

    The number of threads is left out: it changes with what else runs on the machine.
    """
    splits = [task_data / f"{split}.jsonl" for split in SPLITS]
    return made_from(
        spec,
        model=identity(base_model),
        adapter=adapter and {name: file_hash(adapter / name) for name in ADAPTER_FILES},
        data={path.name: file_hash(path) for path in splits if path.is_file()},
        device=machine.device,
        attention=machine.attention,
        batch_size="auto" if machine.find_eval_batch_size else machine.eval_batch_size,
    )
