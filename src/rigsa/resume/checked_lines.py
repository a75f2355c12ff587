"""A file that grows line by line, each with a checksum: a kill costs the line being written."""

import json
import logging
import os
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rigsa.files import whole_file

logger = logging.getLogger(__name__)
# A killed process loses nothing; a power cut, what came since. To wait for the disk at every line
# would cost more than the work that it saves.
SYNC_SECONDS = 5.0
LENGTH = len("12345678 ")  # of a line's checksum


class CheckedLines:
    """JSON values, one a line. `found` has those of earlier processes that are intact."""

    def __init__(self, path: Path) -> None:
        self.found = _intact(path)
        self._file = open(path, "ab")  # noqa: SIM115 (closed by __exit__)
        self._synced = time.monotonic()

    def append(self, value: Any) -> None:
        body = json.dumps(value, separators=(",", ":")).encode()
        self._file.write(_checksum(body) + body + b"\n")
        self._file.flush()
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _intact(path: Path) -> list[Any]:
    """The values of all intact lines; the file is left with these alone."""
    if not path.is_file():
        return []
    # What follows the last end of a line was being written when its process was killed.
    *lines, cut_off = path.read_bytes().split(b"\n")
    intact = [line for line in lines if line[:LENGTH] == _checksum(line[LENGTH:])]
    damaged = len(lines) - len(intact)
    if damaged:
        logger.warning(
            "%s: %d of %d lines are damaged; what they held is done again.",
            path,
            damaged,
            len(lines),
        )
    if damaged or cut_off:
        with whole_file(path) as partial:
            partial.write_bytes(b"".join(line + b"\n" for line in intact))
    return [json.loads(line[LENGTH:]) for line in intact]


def _checksum(body: bytes) -> bytes:
    return b"%08x " % zlib.crc32(body)
