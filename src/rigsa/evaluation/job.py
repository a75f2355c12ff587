"""The evaluation job: one checkpoint asked one benchmark."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.harness import go_offline
from rigsa.evaluation.results import write_evaluation
from rigsa.machine import Machine
from rigsa.models.loading import load_checkpoint, load_tokenizer
from rigsa.tasks.stock import SPLITS

logger = logging.getLogger(__name__)


def evaluate_checkpoint(
    spec: Mapping[str, Any],
    base_model: Path,
    task_data: Path,
    adapter: Path | None,
    output: Path,
    machine: Machine,
) -> None:
    """Writes `output` (eval/<benchmark>.json) and eval/<benchmark>.samples.parquet beside it."""
    torch.set_num_threads(machine.threads)
    go_offline()
    result = evaluate(
        load_checkpoint(base_model, adapter, machine, spec["quantization"]),
        load_tokenizer(base_model),
        spec["lm_eval"],
        data_files={split: str(task_data / f"{split}.jsonl") for split in SPLITS},
        fewshot=spec["fewshot"],
        limit=spec["limit"],
        chat=spec.get("chat", True),
        metric=spec["metric"],
        batch_size=machine.eval_batch_size,
    )
    benchmark = spec["benchmark"]
    write_evaluation(
        result, benchmark, spec, output, output.with_name(f"{benchmark}.samples.parquet")
    )
    logger.info(
        "%s: %s %.2f %% ± %.2f on %d items in %.1f s",
        benchmark,
        result.metric,
        100 * result.score,
        100 * result.stderr,
        result.n,
        result.seconds,
    )
