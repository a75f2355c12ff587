"""What keeping the state of a training costs, in a training of the embedded study.

    python benchmarks/checkpointing.py --output benchmarks/results/checkpointing.json

Trains the dense step, which has the most to save, at the default interval, and measures the time
that is spent on keeping its state: before and after every step, and in every save.
"""

import argparse
import json
import tempfile
import time
from functools import wraps
from pathlib import Path
from typing import Any

from measure import write

from rigsa import specs
from rigsa.heap import keep_freed_memory
from rigsa.machine import Machine
from rigsa.paths import CheckpointPaths, ResultPaths
from rigsa.quiet import quiet
from rigsa.resume.keeper import STATE, Keeper
from rigsa.study import load_study


def measured(results: Path, arm: str, threads: int) -> dict[str, Any]:
    from rigsa.training.job import train

    study = load_study("embedded")
    paths = ResultPaths(results, study.name)
    spent = dict.fromkeys(("step_begins", "step_ended", "save"), 0.0)
    calls = dict.fromkeys(spent, 0)
    sizes = []

    def timed(name: str) -> None:
        method = getattr(Keeper, name)

        @wraps(method)
        def run(self: Keeper, *arguments: Any) -> None:
            began = time.perf_counter()
            method(self, *arguments)
            spent[name] += time.perf_counter() - began
            calls[name] += 1
            if name == "save":
                sizes.append((self.folder / STATE).stat().st_size)

        setattr(Keeper, name, run)

    for name in spent:
        timed(name)
    with tempfile.TemporaryDirectory(dir=results) as folder:
        began = time.perf_counter()
        train(
            json.loads(specs.canonical(specs.training_spec(study, arm, 0, "float32"))),
            paths.base_model(study.base_model),
            paths.task(study.target_task),
            None,
            CheckpointPaths(Path(folder) / arm / "seed0" / "step0"),
            Machine(threads=threads),
            Path(folder) / "unfinished",
        )
        seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "steps": calls["step_ended"],
        "saves": calls["save"],
        "state_mib": max(sizes, default=0) / 2**20,
        "ms_a_save": 1000 * spent["save"] / max(1, calls["save"]),
        # A save is a part of the end of its step.
        "ms_a_step": 1000
        * (spent["step_begins"] + spent["step_ended"] - spent["save"])
        / calls["step_ended"],
        "share": (spent["step_begins"] + spent["step_ended"]) / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--arm", default="rigsa", help="default: rigsa")
    parser.add_argument("--threads", type=int, default=1, help="default: 1, as in config.yaml")
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    quiet()
    keep_freed_memory()
    result = measured(options.results, options.arm, options.threads)
    for name, value in result.items():
        print(f"{name:>10} {value:.4g}")
    if options.output:
        settings = {"arm": options.arm, "results": "embedded"}
        write(options.output, settings, result)


if __name__ == "__main__":
    main()
