"""What a job has done so far, outside its outputs: Snakemake deletes those of a failed job."""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rigsa.errors import FileError
from rigsa.files import hard_link, read_json, write_json
from rigsa.versions import versions

logger = logging.getLogger(__name__)
# What a SPEC has beside settings. Of inputs, the content is compared.
BESIDE_SETTINGS = frozenset({"code", "inputs", "versions"})
DEFINITION, FINISHED = "definition.json", "finished"


class Unfinished(NamedTuple):
    """A job's folder, and whether the job is done: its outputs were taken from there."""

    folder: Path
    done: bool


@contextmanager
def unfinished(
    folder: Path, definition: Mapping[str, Any], outputs: Sequence[Path]
) -> Iterator[Unfinished]:
    """Yields `folder`, with what an earlier process of the same job left there.

    Args:
        folder: a place that belongs to this job alone.
        definition: what the job is made from, by the words that name each part in a sentence
            ("settings", "mask", "code"). Where any part has changed, what was left is dropped.
        outputs: files and folders that the block makes.

    What is in the folder stays when the block raises. When it ends, the outputs take its place, as
    links that need no room, until `clear_finished`: a run that dies before it has seen them deletes
    them, and its next job has them back. One process has the folder at a time, another waits: where
    a run was killed and its jobs were not, they may end before the same job of the next run begins.
    """
    with _locked(folder):
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
        if (folder / FINISHED).is_dir():
            for place, output in enumerate(outputs):
                hard_link(folder / FINISHED / str(place), output)
            logger.info("%s: was finished already.", folder.name)
            yield Unfinished(folder, done=True)
            return
        yield Unfinished(folder, done=False)
        _finish(folder, outputs)


def made_from(spec: Mapping[str, Any], **inputs: Any) -> dict[str, Any]:
    """A job's definition: its settings, code and libraries, and what its inputs hold.

    `inputs` are hashes by the word for each ("mask", "base_model").
    """
    settings = {key: value for key, value in spec.items() if key not in BESIDE_SETTINGS}
    given = {name.replace("_", " "): value for name, value in inputs.items()}
    return {
        "settings": settings,
        "code": spec.get("code"),
        "libraries": versions(),
        **given,
    }


def clear_finished(unfinished: Path, *beginnings: str) -> None:
    """Removes what finished jobs left for a run that might not have seen their outputs.

    Args:
        beginnings: of the names of the jobs' folders.
    """
    for finished in unfinished.glob(f"*/{FINISHED}"):
        if finished.parent.name.startswith(beginnings):
            shutil.rmtree(finished.parent)


def set_aside(file: Path, error: FileError) -> None:
    """Takes a corrupt file out of the way, where it can be looked at, and says so."""
    aside = file.with_name(f"{file.name}.corrupt")
    file.replace(aside)
    logger.warning("%s It was set aside as %s.", error, aside.name)


def _finish(folder: Path, outputs: Sequence[Path]) -> None:
    """Leaves nothing in the folder but links to the outputs, or nothing at all without links."""
    partial = folder / f"{FINISHED}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        for place, output in enumerate(outputs):
            hard_link(output, partial / str(place))
    except OSError:  # A file system without hard links.
        shutil.rmtree(folder)
        return
    partial.rename(folder / FINISHED)
    for file in folder.iterdir():
        if file.name not in (DEFINITION, FINISHED):
            file.unlink()


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
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; a process that dies, in whatever way, leaves no lock behind."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    while True:
        with open(path, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("%s: another process works on it; waiting for its end.", folder.name)
                fcntl.flock(file, fcntl.LOCK_EX)
            # The process before may have taken the file away, and a third made a new one.
            if _is_open(file.fileno(), path):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _is_open(handle: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)
