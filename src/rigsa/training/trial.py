"""A trial that was the same training already: its results are taken instead of made again."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rigsa.errors import FileError
from rigsa.files import hard_link, read_object, write_json
from rigsa.inputs import Input
from rigsa.masks.storage import load_mask
from rigsa.paths import CheckpointPaths
from rigsa.provenance import hashes
from rigsa.records import read_record

logger = logging.getLogger(__name__)


def taken_from(
    trial: Path, spec: Mapping[str, Any], given: Mapping[str, Input], checkpoint: CheckpointPaths
) -> bool:
    """Whether the trial's checkpoint folder holds what this training would come to; then it has it.

    It does where settings and code are the same and all files that it was made from hold the same:
    trainings repeat to the byte.

    Args:
        spec: with the learning rate that was chosen.
        given: what this training is given, by name.
    """
    made = CheckpointPaths(trial)
    try:
        record = read_record(made.training)
        totals = read_object(made.training)
    except FileError:
        return False
    if _settings(record["spec"]) != _settings(spec):
        return False
    there = {name: _contents(files) for name, files in record["inputs"].items()}
    here = {name: _contents(hashes(i.files)) for name, i in given.items() if name != "tuning"}
    if "mask" in given and "mask" in there:
        # Each file says how its own was chosen, so that the bits are compared.
        if there["mask"] != _contents(hashes([made.mask])) or not _alike(given["mask"], made.mask):
            return False
        here["mask"] = there["mask"]
    files = [made.training, *made.adapter_files, made.rewind]
    whole = _contents(record["files"]) == _contents(hashes(files))
    if here != there or not whole:
        return False
    for source, target in (
        (made.adapter, checkpoint.adapter),
        (made.training_log, checkpoint.training_log),
    ):
        hard_link(source, target)
    write_json(checkpoint.training, {**totals, "spec": dict(spec)})
    logger.info("%s: is the trial in %s, whose results it takes.", checkpoint.folder, trial)
    return True


def _settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "inputs"}


def _alike(given: Input, other: Path) -> bool:
    mine, its = load_mask(given.main), load_mask(other)
    return mine.shapes == its.shapes and all(
        torch.equal(bits, its.bits[name]) for name, bits in mine.bits.items()
    )


def _contents(files: Mapping[str, str]) -> list[str]:
    return sorted(files.values())
