"""What a job has done so far, outside its outputs: Snakemake deletes those of a failed job."""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rigsa.errors import FileError
from rigsa.files import read_json, write_json

logger = logging.getLogger(__name__)
DEFINITION = "definition.json"


class Unfinished(NamedTuple):
    """A job's folder, and whether another process of the job was at work until just now."""

    folder: Path
    waited: bool


@contextmanager
def unfinished(folder: Path, definition: Mapping[str, Any]) -> Iterator[Unfinished]:
    """Yields `folder`, with what an earlier process of the same job left there.

    Args:
        folder: a place that belongs to this job alone.
        definition: what the job is made from, by the words that name each part in a sentence
            ("settings", "mask", "code"). Where any part has changed, what was left is dropped.

    The folder goes when the block ends, and stays when it raises. One process has it at a time:
    another waits, and takes over what the first left. That happens where a run was killed and its
    jobs were not: they may end before the same job of the next run begins.
    """
    with _locked(folder) as waited:
        wanted = json.loads(json.dumps(definition))
        changed = _changed(folder / DEFINITION, wanted)
        if changed:
            logger.warning(
                "%s: begun with another %s; begins anew.", folder.name, " and ".join(changed)
            )
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / DEFINITION).is_file():
            write_json(folder / DEFINITION, wanted)
        yield Unfinished(folder, waited)
        shutil.rmtree(folder)


def set_aside(file: Path, error: FileError) -> None:
    """Takes a corrupt file out of the way, where it can be looked at, and says so."""
    aside = file.with_name(f"{file.name}.corrupt")
    file.replace(aside)
    logger.warning("%s It was set aside as %s.", error, aside.name)


def _changed(file: Path, wanted: Mapping[str, Any]) -> list[str]:
    """The parts of the definition that are not as they were."""
    if not file.is_file():
        return ["definition"] if file.parent.is_dir() and any(file.parent.iterdir()) else []
    try:
        found = read_json(file)
    except FileError:
        return ["definition"]
    return sorted(key for key in found | wanted if found.get(key) != wanted.get(key))


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """One process at a time; a process that dies, in whatever way, leaves no lock behind.

    Yields whether it had to wait.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    waited = False
    while True:
        with open(path, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("%s: another process works on it; waiting for its end.", folder.name)
                fcntl.flock(file, fcntl.LOCK_EX)
                waited = True
            # The process before may have taken the file away, and a third made a new one.
            if _is_open(file.fileno(), path):
                try:
                    yield waited
                finally:
                    path.unlink(missing_ok=True)
                return


def _is_open(handle: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)
