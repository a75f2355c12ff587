"""An evaluation as files: the score and its circumstances as JSON, every answer as Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.evaluation.evaluate import Evaluation
from rigsa.evaluation.samples_file import write_samples
from rigsa.files import write_json
from rigsa.versions import versions


def write_evaluation(
    evaluation: Evaluation, benchmark: str, spec: Mapping[str, Any], scores: Path, samples: Path
) -> None:
    """Writes `samples` first, so that a `scores` file always has its samples beside it.

    `spec` is what the caller wants to be known of the run (arm, seed, step, settings).
    """
    write_samples(samples, evaluation.samples)
    write_json(
        scores,
        {
            "benchmark": benchmark,
            "task": evaluation.task,
            "fewshot": evaluation.fewshot,
            "metric": evaluation.metric,
            "score": evaluation.score,
            "stderr": evaluation.stderr,
            "n": evaluation.n,
            "metrics": dict(evaluation.metrics),
            "seconds": round(evaluation.seconds, 2),
            "spec": dict(spec),
            "versions": versions(),
        },
    )
