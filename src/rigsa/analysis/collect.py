"""All checkpoints' result files into one table: one row per arm, seed, step and benchmark."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigsa.analysis import roles
from rigsa.analysis.statistics import standard_error
from rigsa.errors import FileError
from rigsa.files import read_object, write_text
from rigsa.paths import ResultPaths
from rigsa.records import read_record
from rigsa.study import Benchmark, Checkpoint, Study

if TYPE_CHECKING:
    import pandas

# Column of the table ← key of training.json; only trainable_parameters must be there.
TRAINING = {
    "density": "density",
    "trainable_parameters": "trainable_parameters",
    "total_parameters": "total_parameters",
    "adapted_parameters": "adapted_parameters",
    "sign_kept": "sign_kept",
    "gate": "gate",
    "closed_weights": "closed_weights",
    "kl_to_base": "kl_to_base",
    "validation_accuracy": "validation_accuracy",
    "validation_loss": "validation_loss",
    "loss": "loss",
    "steps": "steps",
    "items_seen": "items_seen",
    "learning_rate": "learning_rate",
    "training_seconds": "seconds",
    "tokens_per_second": "tokens_per_second",
    "peak_memory_bytes": "peak_memory_bytes",
    "optimizer_state_bytes": "optimizer_state_bytes",
}


def run(study: Study, paths: ResultPaths) -> None:
    """Writes tables/scores.csv."""
    write_text(paths.scores, collect(study, paths).to_csv(index=False, lineterminator="\n"))


def collect(study: Study, paths: ResultPaths) -> "pandas.DataFrame":
    """Every score with what its checkpoint cost; scores are shares of 1. FileErrors name files."""
    import pandas

    rows = []
    for checkpoint in study.checkpoints():
        training = _training(study, paths, checkpoint)
        for benchmark in study.benchmarks_of(checkpoint.arm, checkpoint.step):
            evaluation = _evaluation(study, paths, checkpoint, benchmark)
            rows.append(_row(study, checkpoint, benchmark) | evaluation | training)
    frame = pandas.DataFrame(rows)
    extra = sorted(name for name in frame.columns if name.startswith("metric_"))
    return frame[[name for name in frame.columns if name not in extra] + extra]


def _row(study: Study, checkpoint: Checkpoint, benchmark: Benchmark) -> dict[str, Any]:
    arm = study.arms[checkpoint.arm]
    return {
        "arm": arm.name,
        "title": arm.title,
        "base": arm.base,
        "seed": checkpoint.seed,
        "step": checkpoint.step,
        "benchmark": benchmark.name,
        "task": benchmark.task,
        "role": roles.benchmark_role(study, benchmark),
        "fewshot": benchmark.fewshot,
    }


def _evaluation(
    study: Study, paths: ResultPaths, checkpoint: Checkpoint, benchmark: Benchmark
) -> dict[str, Any]:
    folder = paths.checkpoint(checkpoint.arm, checkpoint.seed, checkpoint.step)
    path = folder.evaluation(benchmark.name)
    content = read_object(path)
    # Several of our tasks may be asked by one of lm-eval: a task and its subset.
    asked = study.task_entries[benchmark.task].get("lm_eval", benchmark.task)
    for key, wanted in (("task", asked), ("fewshot", benchmark.fewshot)):
        if content.get(key, wanted) != wanted:
            raise _unfit(path, key, f"is {content[key]!r}, but the study asks {wanted!r}")
    score = _number(path, content, "score", required=True)
    items = _number(path, content, "n", required=True)
    if not 0 <= score <= 1:
        raise _unfit(path, "score", f"is {score}; it must be a share from 0 to 1")
    if items < 1 or items != int(items):
        raise _unfit(path, "n", f"is {items}; it must be a number of items")
    error = _number(path, content, "stderr")
    metrics = content.get("metrics") or {}
    if not isinstance(metrics, Mapping):
        raise _unfit(path, "metrics", "is no mapping of names to numbers")
    return {
        "checkpoint": _checkpoint(path),
        "metric": str(content.get("metric", "")),
        "score": score,
        "stderr": standard_error(score, int(items)) if error is None else error,
        "n": int(items),
        "evaluation_seconds": _number(path, content, "seconds"),
    } | {f"metric_{name}": _number(path, metrics, name) for name in metrics}


def _checkpoint(path: Path) -> str:
    """What was asked: the definition of its training, or of the base model as it stands."""
    inputs = read_record(path)["spec"]["inputs"]
    return inputs.get("adapter", inputs["base_model"])


def _training(study: Study, paths: ResultPaths, checkpoint: Checkpoint) -> dict[str, Any]:
    scheduled = study.density(checkpoint.arm, checkpoint.step)
    if not study.arms[checkpoint.arm].trained:
        return dict.fromkeys(("scheduled_density", *TRAINING)) | {"trainable_parameters": 0}
    path = paths.checkpoint(checkpoint.arm, checkpoint.seed, checkpoint.step).training
    content = read_object(path)
    values = {
        column: _number(path, content, key, required=key == "trainable_parameters")
        for column, key in TRAINING.items()
    }
    # An adapter that is not sparse has no density, and so no scheduled one.
    return {"scheduled_density": None if values["density"] is None else scheduled} | values


def _number(path: Path, content: Mapping[str, Any], key: str, *, required: bool = False) -> Any:
    value = content.get(key)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unfit(path, key, f"is {value!r}; it must be a number")
    return value


def _unfit(path: Path, key: str, complaint: str) -> FileError:
    return FileError(
        f"{path}: {key} {complaint}; delete the file, and the next run makes it again."
    )
