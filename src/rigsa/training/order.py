"""Which rows each step sees: decided by the seed alone, so that any step can be the first."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch


def epoch_order(rows: int, seed: int, epoch: int = 0) -> list[int]:
    """A permutation of all rows."""
    generator = torch.Generator().manual_seed(seed + epoch)
    return torch.randperm(rows, generator=generator).tolist()


def share(rows: Sequence[Any], rank: int, ranks: int) -> Sequence[Any]:
    """The rank's part of a batch: as many as another has, or one more or less."""
    return rows[rank * len(rows) // ranks : (rank + 1) * len(rows) // ranks]


def random_seed(seed: int, step: int, what: str) -> int:
    """For the numbers that ranks draw: of several ranks, only rank 0 keeps its state of them."""
    digest = hashlib.sha256(f"{seed} {step} {what}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Batches(torch.utils.data.Dataset):
    """The batches of all steps from `start` on. An epoch's last batch may be smaller.

    Args:
        batch_size: of `rows` in each batch.
        replay: other rows, of which each batch has the next ones behind its own: all steps', in
            their order.
    """

    def __init__(
        self,
        rows: Sequence[Any],
        batch_size: int,
        steps: int,
        seed: int,
        start: int = 0,
        replay: Sequence[Any] = (),
    ) -> None:
        self.rows, self.replay = rows, replay
        self.start, self.more = start, len(replay) // steps
        self.places = list(islice(_batches(len(rows), batch_size, seed), start, steps))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, step: int) -> list[Any]:
        begin = (self.start + step) * self.more
        own = [self.rows[place] for place in self.places[step]]
        return [*own, *self.replay[begin : begin + self.more]]


def _batches(rows: int, batch_size: int, seed: int) -> Iterator[list[int]]:
    epoch = 0
    while True:
        order = epoch_order(rows, seed, epoch)
        yield from (order[i : i + batch_size] for i in range(0, rows, batch_size))
        epoch += 1
