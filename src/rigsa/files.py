"""Files written whole or not at all: beside their place first, then renamed into it."""

import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rigsa.errors import FileError

FOLDER = ".folder"  # ends the name of a folder that is being written


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a place beside `path` to write to; renames it into `path` if nothing was raised."""
    with _partial(path, is_folder=False) as partial:
        yield partial
        _publish(partial, path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, file by file: `path` may exist already, as Snakemake makes it."""
    with _partial(path, is_folder=True) as partial:
        yield partial
        path.mkdir(exist_ok=True)
        for file in sorted(partial.iterdir()):
            _publish(file, path / file.name)


def link_file(path: Path, target: Path) -> None:
    """Makes `path` a symbolic link to the file `target`, in place of whatever it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(path)


def hard_link(source: Path, target: Path) -> None:
    """Gives a file, or every file of a folder, a second name; takes the place of what was there."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for file in source.iterdir():
            hard_link(file, target / file.name)
        return
    if target.exists() and target.samefile(source):
        return  # A rename between two names of one file would leave both.
    with _partial(target, is_folder=True) as partial:
        os.link(source, partial / target.name)
        (partial / target.name).replace(target)


def write_text(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: list[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json(path: Path) -> dict[str, Any]:
    """Raises FileError where the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(f"{path} is missing; the step that makes it has not run.") from None
    except (ValueError, RecursionError) as error:
        raise FileError(
            f"{path} is not valid JSON ({error}); delete it, and the next run makes it again."
        ) from None


def read_object(path: Path) -> dict[str, Any]:
    """The same, and FileError where it is another value than an object."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise FileError(f"{path} is not a JSON object; delete it, and the next run makes it again.")
    return content


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Raises FileError, with the line, where the file is missing or not JSON lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileError(f"{path} is missing; the step that makes it has not run.") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 text ({error}); save it anew.") from None
    # Not splitlines: real questions hold line separators that end no line of JSON.
    lines = text.removesuffix("\n").split("\n") if text else []
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            raise FileError(
                f"{path}:{number} is not valid JSON ({error}); delete the file, and the next run "
                "makes it again."
            ) from None
        rows.append(row)
    return rows


@contextmanager
def _partial(path: Path, is_folder: bool) -> Iterator[Path]:
    """A hidden place beside `path`, locked while it is in use and gone afterwards.

    A folder is locked by a file beside it: NFS locks only files that are open for writing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.partial-"
    for leftover in path.parent.glob(glob.escape(prefix) + "*"):
        if leftover.suffix != FOLDER:
            _remove_if_left(leftover)
    handle, name = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if is_folder:
            os.mkdir(name + FOLDER)
        yield Path(name + FOLDER if is_folder else name)
    finally:
        # First, as NFS keeps what is removed while it is open, under another name.
        os.close(handle)
        _remove(Path(name))


def _remove_if_left(partial: Path) -> None:
    """Removes what a killed process left behind: nobody holds its lock."""
    try:
        handle = os.open(partial, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        os.close(handle)
    _remove(partial)


def _remove(partial: Path) -> None:
    """A file; before it the folder that it locks, which is never there without it."""
    shutil.rmtree(f"{partial}{FOLDER}", ignore_errors=True)
    partial.unlink(missing_ok=True)


def _publish(partial: Path, path: Path) -> None:
    """Gives a finished file its name. It survives a power loss only once both are on the disk."""
    _sync(partial)
    # Temporary files are private; results are for everybody who may read the folder.
    partial.chmod(0o666 & ~_umask())
    partial.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
