"""How many items one forward pass takes: halved where memory runs out, remembered for the next."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from rigsa.errors import FileError, RigsaError
from rigsa.evaluation.kept_answers import KeptAnswers, KeptBatch
from rigsa.files import read_json, write_json

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Where the search for the largest that fits begins. On the CPU memory does not run out with an
# error that could be caught, and larger batches are slower: they fill up more, and leave the cache.
LARGEST = {"cpu": 16, "cuda": 256}


class BatchSize:
    """A number of items that only ever gets smaller."""

    def __init__(self, size: int) -> None:
        self.size = size

    def over(
        self,
        items: Sequence[Item],
        ask: Callable[[Sequence[Item]], Sequence[Answer]],
        kept: KeptAnswers | None = None,
    ) -> list[Answer]:
        """`ask` of all items, batch by batch. A batch that does not fit is asked again in halves.

        Batches that are in `kept` are taken from there, with the size found by then; the others
        are kept in it. Raises RigsaError where a single item does not fit.
        """
        answers: list[Answer] = []
        while len(answers) < len(items):
            earlier = kept and kept.next(len(items) - len(answers))
            if earlier:
                self.size = earlier.size
                answers += earlier.answers
                continue
            batch = items[len(answers) : len(answers) + self.size]
            start = time.perf_counter()
            try:
                new = list(ask(batch))
            except torch.OutOfMemoryError:
                # Asked again only after this block: the error holds the tensors of the failed pass.
                new = None
            if new is None:
                self._halve(len(batch))
                continue
            answers += new
            if kept:
                kept.add(KeptBatch(new, self.size, time.perf_counter() - start))
        return answers

    def _halve(self, tried: int) -> None:
        if tried == 1:
            raise RigsaError(
                "Even one item at a time does not fit into the device's memory; give the benchmark "
                "a smaller `fewshot` in the study, or take a device with more memory."
            )
        self.size = tried // 2
        torch.cuda.empty_cache()
        logger.warning(
            "%d items at a time do not fit into memory; going on with %d.", tried, self.size
        )


def remembered(device: str, memory: Path | None) -> BatchSize:
    """The size that an earlier job noted in `memory`, or the largest to try on the device."""
    largest = LARGEST[device]
    if memory is None or not memory.is_file():
        return BatchSize(largest)
    try:
        size = int(read_json(memory)["eval_batch_size"])
    except (FileError, KeyError, TypeError, ValueError):
        # It is advice; without it the size is found anew.
        return BatchSize(largest)
    return BatchSize(size if size >= 1 else largest)


def remember(
    batches: BatchSize, device: str, memory: Path, circumstances: Mapping[str, Any]
) -> None:
    """Notes the size for jobs in the same circumstances; deleting the file is always safe.

    Where the largest fits, there is nothing to find and nothing to note.
    """
    if batches.size < LARGEST[device]:
        write_json(memory, {"eval_batch_size": batches.size, **circumstances})
