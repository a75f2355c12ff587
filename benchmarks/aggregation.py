"""Memory and seconds of what reads all checkpoints of a study: collecting, tables, figures.

    python benchmarks/aggregation.py --output benchmarks/results/aggregation.json

The studies are those of dry_run.py. Real: the number of files, their format (written by the
project's own code), the rows of the real benchmarks with texts as long as theirs, the records of
every evaluation, and the commands. Not real: a few different files of answers have many names
(hard links), so that they are read from memory and not from a disk. Every command opens, checks
and decodes each of them all the same.
"""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from dry_run import LOW_RANK, PRUNED, ROOT, executable, write_study
from measure import command_cost, write

from rigsa.behind import behind
from rigsa.definitions import Definitions
from rigsa.evaluation.evaluate import Evaluation
from rigsa.evaluation.results import write_evaluation
from rigsa.files import write_json
from rigsa.hashing import file_hash
from rigsa.jobs import WITHOUT_SCORES, Job
from rigsa.paths import CheckpointPaths, ResultPaths, record
from rigsa.study import Study, load_study
from rigsa.versions import versions

CHECKPOINTS = 5 + 1  # of one seed of a pruned and of a low-rank arm
# What the embedded study's tasks stand for: items, letters of an answer (the mean of GSM8k's
# solutions, PIQA's and HellaSwag's choices), and the metrics of lm-eval.
ASKED = {
    "textual_digits": (10_000, 1, ("exact_match",)),
    "tiny_gsm": (1_319, 293, ("exact_match", "exact_match,flexible-extract")),
    "tiny_piqa": (1_838, 98, ("acc", "acc_norm")),
    "tiny_hellaswag": (10_042, 139, ("acc", "acc_norm")),
}
TRAINING = {
    "steps": 486,
    "seconds": 20.5,
    "trainable_parameters": 54_420,
    "total_parameters": 1_690_000,
    "adapted_parameters": 1_572_864,
    "density": 0.0346,
    "sign_kept": 0.9,
    "gate": 0.3,
    "kl_to_base": 1.2,
    "loss": 0.1,
    "tokens_per_second": 9000,
    "peak_memory_bytes": 123_000_000,
}


def write_answers(study: Study, folder: Path, seed: int) -> None:
    """The evaluations of one made-up checkpoint."""
    rng = random.Random(seed)
    words = [
        "".join(rng.choices("abcdefghijklmnoprstuwy", k=rng.randint(1, 9))) for _ in range(999)
    ]
    for benchmark in study.benchmarks.values():
        items, length, metrics = ASKED[benchmark.task]
        share, rows = rng.uniform(0.3, 0.9), []
        for item in range(items):
            said, wanted = (" ".join(rng.choices(words, k=60))[:length] for _ in range(2))
            right = rng.random() < share
            row = {"doc_id": item, "score": float(right), "response": wanted if right else said}
            row |= {"answer": row["response"], "target": wanted}
            rows.append(row | dict.fromkeys(metrics, float(right)))
        score = sum(row["score"] for row in rows) / items
        made = Evaluation(
            benchmark.task, benchmark.fewshot, metrics[0], score, 0.01, {}, tuple(rows), 60.0
        )
        point = CheckpointPaths(folder)
        place = point.evaluation(benchmark.name)
        write_evaluation(made, benchmark.name, {}, place, point.samples(benchmark.name))
    write_json(CheckpointPaths(folder).training, TRAINING)


def write_results(found: Definitions, paths: ResultPaths, pool: Path, distinct: int) -> None:
    """What the jobs before collecting leave for it, with their records."""
    study, graph = found.study, found.graph
    for number in range(distinct):
        write_answers(study, pool / str(number), number)
    places = {point: number for number, point in enumerate(study.checkpoints())}
    for point, number in places.items():
        given = CheckpointPaths(pool / str(number % distinct))
        made = paths.checkpoint(point.arm, point.seed, point.step)
        made.evaluation("").parent.mkdir(parents=True)
        os.link(given.training, made.training)
        for benchmark in study.benchmarks_of(point.arm, point.step):
            job = Job("evaluate", point.arm, point.seed, point.step, benchmark.name)
            files = {}
            for name in ("evaluation", "samples"):
                source, target = (getattr(p, name)(benchmark.name) for p in (given, made))
                os.link(source, target)
                files[str(target)] = file_hash(source)
            spec = found.spec(job)
            inputs = {
                name: {str(file): 64 * "0" for file in graph.outputs(other, paths)}
                for name, other in graph.inputs(job).items()
            }
            content = {"spec": spec, "code": behind("evaluate", spec), "versions": versions()}
            content |= {"inputs": inputs, "files": files, "device": "cpu", "threads": 1}
            write_json(record(made.evaluation(benchmark.name)), content)


def commands(found: Definitions) -> Iterator[tuple[str, list[str]]]:
    """Every step that reads scores or answers, as the rules call it."""
    for job in found.graph:
        if job.rule in ("collect", "table", "figure") and job.name not in WITHOUT_SCORES:
            name = [job.name] if job.name else []
            yield str(job), [job.rule, *name, found.text(job), "--study", found.study.name]


def measure(checkpoints: int, distinct: int, scratch: Path | None) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        write_study(folder, 30 + checkpoints * (PRUNED + LOW_RANK) // CHECKPOINTS)
        os.chdir(folder)
        config = yaml.safe_load(Path("config.yaml").read_text())
        found = Definitions(load_study("embedded"), config)
        paths = ResultPaths(Path("results"), "embedded")
        write_results(found, paths, folder / "pool", distinct)
        row: dict[str, Any] = {"checkpoints": len(found.study.checkpoints())}
        row["answers"] = sum(
            ASKED[benchmark.task][0]
            for point in found.study.checkpoints()
            for benchmark in found.study.benchmarks_of(point.arm, point.step)
        )
        row["arms"] = len(found.study.arms)
        for name, arguments in commands(found):
            row[name] = command_cost([executable("rigsa"), *arguments], folder)
            print(
                f"{row['checkpoints']:6} {name:15} {row[name]['seconds']:7.1f} s "
                f"{row[name]['cpu_seconds']:7.1f} s CPU {row[name]['mib']:6.0f} MiB",
                flush=True,
            )
        os.chdir(ROOT)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoints", type=int, nargs="+", default=[250, 1000, 10_000])
    parser.add_argument("--distinct", type=int, default=12, help="different answers; default: 12")
    parser.add_argument("--scratch", type=Path, help="folder for the results; default: /tmp")
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    # These results need not survive a loss of power.
    os.fsync = lambda file: None
    results = []
    for checkpoints in options.checkpoints:
        results.append(measure(checkpoints, options.distinct, options.scratch))
        if options.output:
            write(options.output.absolute(), {"distinct": options.distinct}, results)


if __name__ == "__main__":
    main()
