"""Beside every result, the record of how it was made: settings, code, inputs, machine and time."""

import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rigsa.behind import behind
from rigsa.errors import ConfigError, FileError
from rigsa.files import write_json
from rigsa.fingerprint import fingerprint
from rigsa.hashing import file_hash
from rigsa.inputs import Input
from rigsa.paths import record
from rigsa.records import read_record
from rigsa.specs import digest
from rigsa.versions import versions


@contextmanager
def recorded(
    rule: str,
    spec: Mapping[str, Any],
    files: Sequence[Path],
    inputs: Mapping[str, Input],
    *,
    device: str = "cpu",
    threads: int = 1,
    outline: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Checks what a job is given, lets the block make its result, and writes how it was made.

    Args:
        files: what the block makes: the main file, beside which the record is written, and others
            that are read later.
        inputs: what the job is given, by the names that the SPEC has for them.
        outline: the study's, where the SPEC has its digest.

    Raises FileError where an input was not made as the SPEC says, ConfigError where the code is
    not the SPEC's. A SPEC without "inputs" or "code", written by hand, asks for no check.
    """
    code = behind(rule, spec)
    if "code" in spec and spec["code"] != fingerprint(code):
        raise ConfigError(
            "SPEC: the code has changed since it was made; start the run again, and it says what "
            "is to be made anew."
        )
    check_inputs(spec.get("inputs", {}), inputs)
    place = record(files[0])
    # What a stopped job leaves must not look like what an earlier one has made.
    place.unlink(missing_ok=True)
    began = time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    content = {
        "spec": dict(spec),
        "code": code,
        "versions": versions(),
        "inputs": {name: hashes(given.files) for name, given in inputs.items()},
        "files": hashes(files),
        "device": _device(device),
        "threads": threads,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
    }
    write_json(place, content | ({"outline": outline} if outline else {}))


def definition_of(main: Path) -> str:
    """What the result was defined by when it was made."""
    return digest(read_record(main)["spec"])


def check_inputs(wanted: Mapping[str, str], inputs: Mapping[str, Input]) -> None:
    """Raises FileError where an input was not made from the definition that is wanted of it."""
    for name, definition in wanted.items():
        if name in inputs:
            check_definition(inputs[name].main, definition)


def check_definition(main: Path, definition: str) -> None:
    if definition_of(main) != definition:
        raise FileError(
            f"{main} was made from other settings, code or inputs than the study has now; "
            f"`rigsa why {main}` says which; delete {record(main)}, and the next run makes it "
            "again."
        )


def hashes(files: Sequence[Path]) -> dict[str, str]:
    """sha256 by path, of those that are there: a folder given by hand may lack some."""
    return {str(file): file_hash(file) for file in files if file.is_file()}


def _device(device: str) -> str:
    if device == "cuda" and "torch" in sys.modules:
        return sys.modules["torch"].cuda.get_device_name()
    return f"{device}, {platform.processor() or platform.machine()}"
