"""Kills whole runs of a study at random moments, starts them again, and compares the results.

    python -m tests.faults.soak --kills 50

Snakemake runs the embedded study, cut down to minutes (or as it is, with --whole), and something is
killed: everything at once, as a power loss does; Snakemake alone, so that its jobs go on without
it; one job; or everything is asked to stop, by Ctrl-C or by a cluster. The same command is then
given again, until the study has ended by itself.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.faults.kills import smaller
from tests.faults.tally import Tally, two_projects

WAYS = ("power loss", "Snakemake alone", "one job", "Ctrl-C", "cluster")
COMMAND = ("--cores", "all", "--resources", "gpu=1", "--", "results/embedded/tables/scores.csv")


def soak(folder: Path, kills: int, seed: int, whole: bool, pause: float) -> Tally:
    began, rng, tally = time.monotonic(), random.Random(seed), Tally()
    quiet, killed = two_projects(folder)
    if not whole:
        for project in (quiet, killed):
            smaller(project)
    assert quiet.started(*COMMAND, output=folder / "quiet.log").wait() == 0, (
        folder / "quiet.log"
    ).read_text()
    log = folder / "killed.log"
    code = None
    while code != 0:
        run = killed.started(*COMMAND, output=log)
        code = None
        while code is None:
            left = rng.uniform(1, pause) if tally.kills.total() < kills else None
            try:
                code = run.wait(left)
            except subprocess.TimeoutExpired:
                way = rng.choice(WAYS)
                if _kill(run, way):
                    tally.kills[way] += 1
                if way == "one job":
                    continue  # The others go on.
                asked = time.monotonic()
                code = run.wait()
                if way in ("Ctrl-C", "cluster"):
                    tally.longest_goodbye = max(tally.longest_goodbye, time.monotonic() - asked)
    logs = (killed.folder / "results/embedded/logs").glob("evaluate-*.log")
    text = "".join(file.read_text() for file in (log, *logs))
    tally.count(text, quiet, killed)
    tally.seconds = round(time.monotonic() - began, 1)
    return tally


def _kill(run: subprocess.Popen, way: str) -> bool:
    """Whether there was something to kill."""
    group = run.pid
    if way == "Snakemake alone":
        run.kill()
    elif way == "one job":
        jobs = _jobs(group)
        if not jobs:
            return False
        os.kill(random.choice(jobs), signal.SIGKILL)
    else:
        number = {"Ctrl-C": signal.SIGINT, "cluster": signal.SIGTERM}.get(way, signal.SIGKILL)
        os.killpg(group, number)
    return True


def _jobs(group: int) -> list[int]:
    """Processes of `rigsa` in a process group."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().split(b"\0")
            if os.getpgid(int(place.name)) == group and any(
                part.endswith(b"/rigsa") for part in command[:2]
            ):
                found.append(int(place.name))
        except (OSError, ValueError):
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="default: 50")
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    parser.add_argument("--whole", action="store_true", help="the embedded study as it is")
    parser.add_argument("--pause", type=float, default=7, help="seconds at most; default: 7")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep both projects in this folder"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        tally = soak(place, options.kills, options.seed, options.whole, options.pause)
    print(json.dumps(vars(tally), indent=1))


if __name__ == "__main__":
    main()
