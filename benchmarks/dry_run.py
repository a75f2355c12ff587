"""What planning takes: dry runs of made-up studies of many jobs, from nothing and finished.

    python benchmarks/dry_run.py --output benchmarks/results/dry_run.json

Each study is the embedded one with many arms and five seeds. A finished one has an empty file in
place of every result, the record that a run would have written, and Snakemake's own notes.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from measure import command_cost, write

from rigsa.definitions import Definitions
from rigsa.files import write_json
from rigsa.paths import ResultPaths
from rigsa.study import load_study

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "config.yaml", "environment.yml", "studies", "workflow", "profiles")
SEEDS = 5
PRUNED, LOW_RANK = 29, 5  # jobs of one seed of an arm
ONE = "results/embedded/arms/qlora_r1_0/seed0/step0/training.json"


def write_study(folder: Path, jobs: int) -> None:
    """The embedded study with pruned and low-rank arms in turn, until it has about so many jobs."""
    for part in PARTS:
        copier = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copier(ROOT / part, folder / part)
    path = folder / "studies/embedded.yaml"
    study = yaml.safe_load(path.read_text())
    arms = study["arms"]
    bases = {name: arms[name] for name in ("base", "base_4bit")}
    made, count = {}, 30  # bases, data, tables, figures
    while count + SEEDS * LOW_RANK <= jobs:
        fits = count + SEEDS * PRUNED <= jobs
        kind = "rigsa" if fits and len(made) % 2 else "qlora_r1"
        arm = arms[kind] | {"title": f"Arm {len(made)}"}
        arm["training"] = {"learning_rate": 1.0e-3 * (len(made) + 1)}
        made[f"{kind}_{len(made)}"] = arm
        count += SEEDS * (PRUNED if kind == "rigsa" else LOW_RANK)
    study |= {"arms": bases | made, "seeds": list(range(SEEDS))}
    path.write_text(yaml.safe_dump(study, sort_keys=False))


def finish(folder: Path) -> int:
    """Makes empty results with the records that a run would have written; the number of jobs."""
    os.chdir(folder)
    found = Definitions(load_study("embedded"), yaml.safe_load(Path("config.yaml").read_text()))
    paths = ResultPaths(Path("results"), "embedded")
    jobs = list(found.graph)
    for job in jobs:
        for file in found.graph.outputs(job, paths):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        record = {"spec": found.spec(job), "versions": {}, "inputs": {}, "files": {}}
        write_json(found.graph.record(job, paths), record)
    # The one file that is read for planning: its shape decides what jobs ask of a cluster.
    model = found.study.base_model_entry
    shape = {"vocab_size": model["vocabulary"], "intermediate_size": 768, **model["architecture"]}
    write_json(paths.base_model(found.study.base_model) / "config.json", shape)
    paths.report.touch()
    snakemake(folder, "--touch", "--cores", "1", "--quiet", "all")
    return len(jobs)


def executable(name: str) -> str:
    """Of the environment that this runs in."""
    return str(Path(sys.executable).parent / name)


def snakemake(folder: Path, *arguments: str) -> dict[str, float]:
    """Seconds and memory of one call."""
    return command_cost([executable("snakemake"), *arguments], folder)


def measure(jobs: int, repeats: int) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_study(folder, jobs)
        planning = ["--dry-run", "--quiet", "all"]
        nothing = [snakemake(folder, *planning) for _ in range(repeats)]
        # What a job on a cluster does before it starts: it reads the rules and plans itself.
        one = [snakemake(folder, *planning, "--", ONE) for _ in range(repeats)]
        made = finish(folder)
        done = [snakemake(folder, "--cores", "1", "--quiet", "all") for _ in range(repeats)]
        os.chdir(ROOT)
        files = {name: count(folder / name) for name in ("results", ".snakemake")}
    return {
        "jobs": made,
        "from_nothing": min(call["seconds"] for call in nothing),
        "finished": min(call["seconds"] for call in done),
        "one_job": min(call["seconds"] for call in one),
        "cpu_from_nothing": min(call["cpu_seconds"] for call in nothing),
        "cpu_finished": min(call["cpu_seconds"] for call in done),
        "cpu_one_job": min(call["cpu_seconds"] for call in one),
        "mib_from_nothing": max(call["mib"] for call in nothing),
        "mib_finished": max(call["mib"] for call in done),
        "files": files,
    }


def count(folder: Path) -> int:
    """Files and folders below it."""
    return sum(1 for _ in folder.rglob("*"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, nargs="+", default=[90, 250, 500, 1000, 2000])
    parser.add_argument("--repeats", type=int, default=2, help="the best counts; default: 2")
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    results = []
    for jobs in options.jobs:
        row = measure(jobs, options.repeats)
        results.append(row)
        print(
            f"{row['jobs']:5} jobs: {row['from_nothing']:5.1f} s and "
            f"{row['mib_from_nothing']:.0f} MiB from nothing, "
            f"{row['finished']:5.1f} s and {row['mib_finished']:.0f} MiB finished, "
            f"{row['one_job']:.1f} s for one job",
            flush=True,
        )
    if options.output:
        write(options.output.absolute(), {"seeds": SEEDS, "repeats": options.repeats}, results)


if __name__ == "__main__":
    main()
