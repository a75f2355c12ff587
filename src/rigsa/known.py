"""Results that were made already, for another arm or as a trial: taken instead of made again.

Jobs repeat to the byte: the same settings and code come to the same, of files that hold the same.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rigsa.errors import FileError
from rigsa.files import hard_link, read_object, write_json
from rigsa.inputs import Input
from rigsa.masks.storage import load_mask
from rigsa.paths import CheckpointPaths
from rigsa.provenance import hashes
from rigsa.records import read_record

logger = logging.getLogger(__name__)
Inputs = dict[str, list[str]]


def take_checkpoint(
    folders: Sequence[Path],
    spec: Mapping[str, Any],
    given: Mapping[str, Input],
    checkpoint: CheckpointPaths,
) -> bool:
    """Whether one of the checkpoints is what this training would come to; then it has it.

    Args:
        spec: of one learning rate.
        given: what the training is given, by name.
    """
    here = _contents(given)
    # Where the rate was chosen decides nothing more.
    here.pop("tuning", None)
    for made in map(CheckpointPaths, folders):
        files = [made.training, *made.adapter_files, made.rewind]
        there = _made_by(spec, made.training, files)
        if there is None or not _same_mask(here, there, given, made.mask):
            continue
        if {**here, "mask": []} != {**there, "mask": []}:
            continue
        whole = {made.adapter: checkpoint.adapter, made.training_log: checkpoint.training_log}
        if not _linked(whole):
            return False
        write_json(checkpoint.training, read_object(made.training) | {"spec": dict(spec)})
        mine, other = ("/".join(c.folder.parts[-3:]) for c in (checkpoint, made))
        logger.info("%s: is the training of %s, which is taken.", mine, other)
        return True
    return False


def take_evaluation(
    files: Sequence[Path], spec: Mapping[str, Any], given: Mapping[str, Input], output: Path
) -> bool:
    """The same of evaluations, each of which has its answers beside it."""
    here = _contents(given)
    for made in files:
        samples = made.with_suffix(".samples.parquet")
        if _made_by(spec, made, [made, samples]) == here:
            if not _linked({samples: output.with_suffix(".samples.parquet"), made: output}):
                return False
            logger.info("%s: is the evaluation in %s, which is taken.", output, made)
            return True
    return False


def _linked(names: Mapping[Path, Path]) -> bool:
    """False on a file system without hard links, where it is made again."""
    try:
        for source, target in names.items():
            hard_link(source, target)
    except OSError:
        return False
    return True


def _made_by(spec: Mapping[str, Any], main: Path, files: Sequence[Path]) -> Inputs | None:
    """What the inputs of a result held; None where other settings made it, or it is not whole."""
    try:
        record = read_record(main)
    except FileError:
        return None
    if _settings(record["spec"]) != _settings(spec):
        return None
    if sorted(record["files"].values()) != sorted(hashes(files).values()):
        return None
    return {name: sorted(files.values()) for name, files in record["inputs"].items()}


def _contents(given: Mapping[str, Input]) -> Inputs:
    return {name: sorted(hashes(item.files).values()) for name, item in given.items()}


def _settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "inputs"}


def _same_mask(here: Inputs, there: Inputs, given: Mapping[str, Input], file: Path) -> bool:
    """Each mask's file says how it was chosen, so that the bits are compared."""
    if here.get("mask") == there.get("mask"):
        return True
    if "mask" not in here or "mask" not in there:
        return False
    if there["mask"] != list(hashes([file]).values()):
        return False
    mine, its = load_mask(given["mask"].main), load_mask(file)
    return mine.shapes == its.shapes and all(
        bool((bits == its.bits[name]).all()) for name, bits in mine.bits.items()
    )
