"""Every job that computes on GPUs has cards of its own, whoever else is at work on the machine.

A `gpu` resource is a number to Snakemake: it says how many jobs run, not where. So a job leases its
cards itself, by one lock per card that lasts as long as any of the job's processes.
"""

import getpass
import logging
import os
import random
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from rigsa.cards import VISIBLE, Card, visible_cards
from rigsa.errors import RigsaError
from rigsa.shared_locks import SharedLocks

logger = logging.getLogger(__name__)
# Not the temporary folder of one user or job (TMPDIR), as all have to find it.
FOLDER = "/tmp/rigsa-gpus"
# Seconds: between two looks, until a wait is said, and until it is said again.
LOOK, SAY, SAY_AGAIN = 0.1, 1.0, 600.0
# Set within a job of Flux, HTCondor, LSF, OAR, PBS, Grid Engine (whose JOB_ID is anybody's), Slurm.
SCHEDULERS = (
    "FLUX_JOB_ID",
    "_CONDOR_JOB_AD",
    "LSB_JOBID",
    "OAR_JOB_ID",
    "PBS_JOBID",
    "SGE_JOB_SPOOL_DIR",
    "SLURM_JOB_ID",
)
# Grid Engine's word for the cards that a job has, where the site sets no CUDA_VISIBLE_DEVICES.
GRANTED = "SGE_HGR_gpu"

# Open files, never closed: the locks are held until the process is dead.
_held: list[int] = []


def take_cards(count: int, work: str) -> None:
    """Sets CUDA_VISIBLE_DEVICES to cards that no other job has; waits until there are so many.

    Call it before anything starts CUDA. A second call changes nothing, and neither does the first
    where a scheduler has given this job as many cards as it needs.

    Args:
        count: how many.
        work: what the job does, for those who wait for its cards.

    Raises:
        RigsaError: if so many are never visible here.
    """
    if _held or _assigned(count):
        return
    cards = enough(visible_cards(), count)
    folder = Path(os.environ.get("RIGSA_GPU_LOCKS", FOLDER))
    locks = SharedLocks(folder)
    since = datetime.now().astimezone().isoformat(" ", "minutes")
    who = f"process {os.getpid()} of {_user()} since {since}, {work}"
    taken = _wait_for(cards, count, locks, who)
    _held.extend([*taken.values(), locks.folder])
    mine = [card for card in cards if card in taken]
    os.environ[VISIBLE] = ",".join(card.identity for card in mine)
    logger.info("computes on %s.", ", ".join(map(_shown, mine)))


def held_fds() -> tuple[int, ...]:
    """The open files that hold this job's cards.

    A process that the job starts gets them as well (`subprocess.Popen(pass_fds=held_fds())`), so
    that the cards are not free while it lives, even where the job itself was killed. It finds them
    in CUDA_VISIBLE_DEVICES and takes none: it would wait for its own parent.
    """
    return tuple(_held)


def enough(cards: Sequence[Card], count: int) -> list[Card]:
    """Those that a job for `count` cards can have. Raises RigsaError where they are too few."""
    usable = [card for card in cards if count == 1 or not card.is_instance]
    if len(usable) >= count:
        return usable
    value = os.environ.get(VISIBLE)
    named = f" ({VISIBLE} is {value!r})" if value is not None else ""
    if not usable and count == 1:
        raise RigsaError(f"device is cuda, but no GPU is visible here{named}; set device to cpu.")
    whole = ", MIG instances aside, which work one by one" if len(usable) < len(cards) else ""
    raise RigsaError(
        f"a job needs {count} GPUs, but {len(usable)} are visible here{named}{whole}; let it have "
        "fewer, or make more visible."
    )


def _assigned(count: int) -> bool:
    """Whether a scheduler has given this job exactly what it needs."""
    if not any(name in os.environ for name in SCHEDULERS):
        return False
    granted = os.environ.get(GRANTED, "").split()
    if granted and all(re.match(r"\d+$|GPU-|MIG-", card) for card in granted):
        os.environ.setdefault(VISIBLE, ",".join(granted))
    value = os.environ.get(VISIBLE)
    return count == (len(visible_cards()) if value is None else len(value.split(",")))


def _wait_for(cards: Sequence[Card], count: int, locks: SharedLocks, who: str) -> dict[Card, int]:
    """The cards and their locks.

    Each card has a lock, and one for being next in its line. A job takes every next place that is
    free, but keeps them only where they are enough for it; then it takes those cards as they become
    free. So nobody overtakes a job that waits for several, two of these never wait for each other
    (each can go on with what it is next for), and a job of one card never holds any while it waits.
    """
    lines: dict[Card, int] = {}
    taken: dict[Card, int] = {}
    say_at = time.monotonic() + SAY
    with ExitStack() as next_in_line, ExitStack() as leases:
        while True:
            # All in one order, so that of two jobs one has all of the places.
            for card in sorted(cards, key=lambda card: card.identity):
                place = None if card in lines else locks.take(f"{_name(card)}.next", who)
                if place is not None:
                    lines[card] = place
                    next_in_line.callback(os.close, place)
            if len(lines) < count:
                next_in_line.close()
                lines.clear()
            for card in cards:
                wanted = card in lines and card not in taken and len(taken) < count
                lease = locks.take(_name(card), who) if wanted else None
                if lease is not None:
                    taken[card] = lease
                    leases.callback(os.close, lease)
            if len(taken) == count:
                leases.pop_all()
                return taken
            if time.monotonic() > say_at:
                _say(cards, count, locks, taken)
                say_at = time.monotonic() + SAY_AGAIN
            # Not in step with the others who wait.
            time.sleep(random.uniform(0.5, 1.5) * LOOK)


def _say(cards: Sequence[Card], count: int, locks: SharedLocks, taken: dict[Card, int]) -> None:
    said = []
    for card in cards:
        names = (_name(card), f"{_name(card)}.next")
        holder = next(filter(None, map(locks.holder, names)), None)
        if card not in taken and holder:
            said.append(f"{_shown(card)}: {holder}")
    more = f"{count - len(taken)} more" if taken else str(count)
    logger.info("waits for %s of these GPUs to be free: %s.", more, "; ".join(said))


def _name(card: Card) -> str:
    """Of the lock file: MIG instances of old drivers have slashes in theirs."""
    return card.identity.replace("/", "_")


def _shown(card: Card) -> str:
    return f"{card.kind} ({card.identity})"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container knows numbers only.
        return f"user {os.getuid()}"
