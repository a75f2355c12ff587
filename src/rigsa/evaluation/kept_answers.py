"""Answers kept as they come, so that an evaluation goes on where it was stopped."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigsa.resume.checked_lines import CheckedLines
from rigsa.resume.unfinished import unfinished

logger = logging.getLogger(__name__)
ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class KeptBatch:
    """Answers as JSON gives them back, the batch size of their time, and how long they took."""

    answers: list[Any]
    size: int
    seconds: float


class KeptAnswers:
    """Batches of answers in the order of asking, by the requests they belong to.

    The last bits of an answer depend on what else is in its batch. So whole batches are kept, each
    with the batch size of its time, and the others are cut as if nothing had happened.
    """

    def __init__(self, lines: CheckedLines, name: str) -> None:
        self.name = name
        self.seconds = 0.0  # that the batches taken over took
        self._lines = lines
        self._first_sizes = [line["first_size"] for line in lines.found if "first_size" in line]
        self._kept = {
            (line["requests"], line["begin"]): KeptBatch(
                line["answers"], line["size"], line["seconds"]
            )
            for line in lines.found
            if "answers" in line
        }
        self._requests, self._position = "", 0

    def first_size(self, size: int) -> int:
        """The batch size that asking began with; it is `size` where it begins now."""
        if not self._first_sizes:
            self._first_sizes = [size]
            self._lines.append({"first_size": size})
        return self._first_sizes[0]

    def begin(self, requests: Iterable[Any], total: int) -> int:
        """Must be called before the batches of `requests`, which `total` answers belong to.

        Returns how many of these are kept.
        """
        digest = hashlib.sha256()
        for request in requests:
            digest.update(repr(request).encode())
        self._requests, self._position = digest.hexdigest()[:16], 0
        batches = [batch for (of, _), batch in self._kept.items() if of == self._requests]
        count = sum(len(batch.answers) for batch in batches)
        if count:
            logger.info("%s: %d of %d answers were kept; going on.", self.name, count, total)
        return count

    def next(self, most: int) -> KeptBatch | None:
        """The batch that is due, at most `most` answers, if it is kept."""
        batch = self._kept.get((self._requests, self._position))
        if batch is None or len(batch.answers) > most:
            return None
        self._position += len(batch.answers)
        self.seconds += batch.seconds
        return batch

    def add(self, batch: KeptBatch) -> None:
        """Keeps the batch that was due."""
        place = {"requests": self._requests, "begin": self._position}
        self._lines.append(place | vars(batch))
        self._position += len(batch.answers)


@contextmanager
def kept_answers(
    folder: Path, name: str, definition: Mapping[str, Any], outputs: Sequence[Path]
) -> Iterator[KeptAnswers | None]:
    """Answers of the evaluation `definition`, kept in `folder` until the block has succeeded.

    None where it has succeeded before, and its outputs are there again.
    """
    with unfinished(folder, definition, outputs) as (place, done):
        if done:
            yield None
            return
        with CheckedLines(place / ANSWERS) as lines:
            yield KeptAnswers(lines, name)
