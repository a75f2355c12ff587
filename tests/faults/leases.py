"""Starts hundreds of jobs of two runs on a few pretended GPUs, kills some, and watches the cards.

    python -m tests.faults.leases --jobs 300 --cards 4

Never are two jobs on one card, and at the end every card is free, whatever has ended its jobs. No
GPU is needed: `nvidia-smi` is made up. Every job marks its cards by a lock of another kind than the
leases are, which fails where somebody else is on the card, and writes down when it came and went.
"""

import argparse
import fcntl
import json
import os
import random
import signal
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from rigsa.leases import take_cards
from rigsa.resume.interrupt import Stopped, listen
from rigsa.shared_locks import SharedLocks
from tests.nvidia_smi import listing, pretend, uuids

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# A run has more jobs at a time than there are cards, so that they wait.
MORE_JOBS = 3
# Seconds: the longest work, and how long anybody may take.
WORK, PATIENCE = 0.02, 120


def run(folder: Path, jobs: int, cards: int, seed: int) -> dict[str, Any]:
    """Two runs of half of the jobs each; what they wrote down, counted."""
    began = time.monotonic()
    os.environ["PATH"] = f"{pretend(folder / 'bin', listing(uuids(cards)))}:{os.environ['PATH']}"
    os.environ["RIGSA_GPU_LOCKS"] = str(folder / "locks")
    # One run sees all cards, the other names them one by one.
    names = (None, ",".join(uuid[: len("GPU-") + 8] for uuid in reversed(uuids(cards))))
    share = (jobs - jobs // 2, jobs // 2)
    runs = [
        _forked(_run, folder, seed + place, share[place], cards, names[place]) for place in (0, 1)
    ]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in runs]
    assert codes == [0, 0], codes
    events = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    locks = SharedLocks(folder / "locks")
    return {
        "jobs": jobs,
        "ended": Counter(event["code"] for event in events if "code" in event),
        "of_two_cards": sum(len(event["cards"]) > 1 for event in events if "came" in event),
        "by_card": Counter(card[4:12] for event in events for card in event.get("cards", [])),
        "waited": sum(event.get("waited", 0) > 0.1 for event in events),
        "longest_wait": {count: _longest_wait(events, count) for count in (1, 2)},
        "most_cards_at_once": _most(events),
        "two_on_a_card": [event["shared"] for event in events if "shared" in event],
        "not_free_at_the_end": [card for card in uuids(cards) if locks.holder(card)],
        "seconds": round(time.monotonic() - began, 1),
    }


def _run(folder: Path, seed: int, jobs: int, cards: int, names: str | None) -> None:
    """What Snakemake does: as many jobs at a time as may be. Some of them are killed."""
    # As it is outside of Python, where SIGINT is no exception.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if names is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = names
    rng = random.Random(seed)
    ends: dict[int, tuple[float, int]] = {}
    while jobs or ends:
        if jobs and len(ends) < cards + MORE_JOBS:
            jobs -= 1
            count = 2 if rng.random() < 0.25 else 1
            pid = _forked(_job, folder, cards, count, rng.uniform(0, WORK))
            end = rng.uniform(0, 0.4) if rng.random() < 0.3 else PATIENCE
            ends[pid] = (time.monotonic() + end, rng.choice(SIGNALS))
            continue
        for pid, (end, number) in list(ends.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del ends[pid]
                _note(folder, code=os.waitstatus_to_exitcode(status))
            elif time.monotonic() > end:
                os.kill(pid, number)
        time.sleep(0.002)


def _job(folder: Path, cards: int, count: int, seconds: float) -> None:
    listen()
    # Opened before the leases, so that the end of the process frees them before these.
    flags = os.O_RDWR | os.O_CREAT
    marks = {uuid: os.open(folder / f"mark-{uuid}", flags) for uuid in uuids(cards)}
    began = time.monotonic()
    take_cards(count, "a job of the test")
    came = time.monotonic()
    mine = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    for card in mine:
        try:
            fcntl.lockf(marks[card], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _note(folder, shared=card)
    assert len(mine) == count
    time.sleep(seconds)
    _note(folder, cards=mine, came=came, left=time.monotonic(), waited=came - began)


def _forked(function: Any, *arguments: Any) -> int:
    """Starts a process that has everything imported already."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        function(*arguments)
        code = 0
    except Stopped as stop:
        code = 128 + stop.signal
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _note(folder: Path, **event: Any) -> None:
    file = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, json.dumps(event).encode() + b"\n")
    os.close(file)


def _longest_wait(events: list[dict[str, Any]], count: int) -> float:
    """Seconds that a job for so many cards has waited."""
    waits = [event["waited"] for event in events if len(event.get("cards", [])) == count]
    return round(max(waits, default=0), 2)


def _most(events: list[dict[str, Any]]) -> int:
    """How many cards were in use at a time."""
    changes = [(event["came"], len(event["cards"])) for event in events if "came" in event]
    changes += [(event["left"], -len(event["cards"])) for event in events if "left" in event]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300, help="of both runs; default: 300")
    parser.add_argument("--cards", type=int, default=4, help="default: 4")
    parser.add_argument("--seed", type=int, default=0, help="of what happens; default: 0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), options.jobs, options.cards, options.seed)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
