"""Kills the jobs of a study at random moments, and compares what comes out with a quiet run.

    python -m tests.faults.kills --kills 50

Every job of the embedded study, cut down to seconds, is killed (SIGKILL, SIGTERM, SIGINT) and begun
again by the same command until it has ended; its outputs are deleted in between, as Snakemake does.
`tests.faults.soak` does the same to Snakemake itself and takes longer.
"""

import argparse
import json
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.faults import process
from tests.faults.commands import outputs, planned
from tests.faults.tally import Tally, two_projects
from tests.workflow.conftest import Project
from tests.workflow.quick import cut_down

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
BENCHMARKS = ("textual_digits", "tiny_gsm", "tiny_piqa")
ARMS = ("base", "base_4bit", "rigsa", "qlora_r1")


def smaller(project: Project) -> None:
    """The quick study with fewer arms and longer trainings, which state is saved often."""
    cut_down(project)

    def study(content: dict[str, Any]) -> None:
        content["arms"] = {name: content["arms"][name] for name in ARMS}
        content["training"]["epochs"] = 0.5
        content["source_tasks"] = [task for task in content["source_tasks"] if task in BENCHMARKS]
        content["benchmarks"] = {name: content["benchmarks"][name] for name in BENCHMARKS}

    def config(content: dict[str, Any]) -> None:
        content["checkpoint_steps"] = 5
        content["eval_batch_size"] = 2

    def bases(content: dict[str, Any]) -> None:
        content["embedded"]["training"]["steps"] = 12

    project.edit("studies/embedded.yaml", study)
    project.edit("config.yaml", config)
    project.edit("studies/catalog/base_models.yaml", bases)


def run(folder: Path, kills: int, seed: int) -> Tally:
    """One quiet run and one with at least so many kills, in two folders below `folder`."""
    began = time.monotonic()
    quiet, killed = two_projects(folder)
    for project in (quiet, killed):
        smaller(project)
    commands = planned(quiet)
    log = folder / "log"
    tally, rng = Tally(jobs=len(commands)), random.Random(seed)
    took = [_whole(command, quiet, log) for command in commands]
    shares = _shares(took, kills)
    for command, seconds, share in zip(commands, took, shares, strict=True):
        for _ in range(share):
            _kill(command, killed, log, seconds, rng, tally)
        _whole(command, killed, log)
    tally.count(log.read_text(), quiet, killed)
    tally.seconds = round(time.monotonic() - began, 1)
    return tally


def _whole(command: list[str], project: Project, log: Path) -> float:
    """Runs a command to its end; returns its seconds."""
    began = time.monotonic()
    code = process.wait(process.forked(command, project.folder, log))
    assert code == 0, f"{' '.join(command)}: exit {code}\n{log.read_text()[-3000:]}"
    return time.monotonic() - began


def _shares(took: list[float], kills: int) -> list[int]:
    """How often each job is killed: once at least, and the longer ones more often."""
    left = max(0, round(1.5 * kills) - len(took))  # Some are over before their signal.
    return [1 + round(left * seconds / sum(took) + 0.2) for seconds in took]


def _kill(
    command: list[str],
    project: Project,
    log: Path,
    seconds: float,
    rng: random.Random,
    tally: Tally,
) -> None:
    """Kills a command at a random moment, again and again until it was in time."""
    for _ in range(20):
        number = rng.choice(SIGNALS)
        pid = process.forked(command, project.folder, log)
        code, in_time = process.killed(pid, rng.uniform(0, seconds), number)
        for place in outputs(command, project):
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        if in_time and code != 0:
            tally.kills[signal.Signals(number).name] += 1
            if number != signal.SIGKILL:
                tally.asked[code] += 1
            return
        # It had ended already, or did so in spite of the signal: it was done with its work.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="at least; default: 50")
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    options = parser.parse_args()
    process.import_all()
    with tempfile.TemporaryDirectory() as folder:
        tally = run(Path(folder), options.kills, options.seed)
    print(json.dumps(vars(tally), indent=1))


if __name__ == "__main__":
    main()
