"""The evaluation job: one checkpoint asked one benchmark."""

import logging
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from rigsa.evaluation.batching import BatchSize, remember, remembered
from rigsa.evaluation.definition import definition
from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.harness import go_offline
from rigsa.evaluation.kept_answers import kept_answers
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
    cache: Path | None = None,
    unfinished: Path | None = None,
) -> None:
    """Writes `output` (eval/<benchmark>.json) and eval/<benchmark>.samples.parquet beside it.

    `cache` is a folder where the batch size that fits is noted for other checkpoints, `unfinished`
    one where answers are kept until both files are written, to go on from after a stop.
    """
    torch.set_num_threads(machine.threads)
    go_offline()
    benchmark = spec["benchmark"]
    samples = output.with_name(f"{benchmark}.samples.parquet")
    with ExitStack() as stack:
        kept = None
        if unfinished is not None:
            made_from = definition(spec, base_model, task_data, adapter, machine)
            outputs = [output, samples]
            kept = stack.enter_context(kept_answers(unfinished, benchmark, made_from, outputs))
            if kept is None:
                return
        circumstances = _circumstances(spec, base_model, machine)
        memory = cache and cache / "eval_batch_size" / f"{_slug(circumstances)}.json"
        batches = BatchSize(machine.eval_batch_size)
        if machine.find_eval_batch_size:
            batches = remembered(machine.device, memory)
        if kept:
            batches = BatchSize(kept.first_size(batches.size))
        result = evaluate(
            load_checkpoint(base_model, adapter, machine, spec["quantization"]),
            load_tokenizer(base_model),
            spec["lm_eval"],
            data_files={split: str(task_data / f"{split}.jsonl") for split in SPLITS},
            fewshot=spec["fewshot"],
            limit=spec["limit"],
            chat=spec.get("chat", True),
            metric=spec["metric"],
            sampler=spec.get("sampler"),
            batch_size=batches,
            kept=kept,
        )
        if machine.find_eval_batch_size and memory is not None:
            remember(batches, machine.device, memory, circumstances)
        write_evaluation(result, benchmark, spec, output, samples)
        logger.info(
            "%s: %s %.2f %% ± %.2f on %d items in %.1f s",
            benchmark,
            result.metric,
            100 * result.score,
            100 * result.stderr,
            result.n,
            result.seconds,
        )


def _circumstances(
    spec: Mapping[str, Any], base_model: Path, machine: Machine
) -> dict[str, str | int]:
    """What decides how many items fit; the adapter hardly matters."""
    cuda = machine.device == "cuda"
    return {
        "base_model": base_model.name,
        "weights": "4bit" if spec["quantization"] else machine.precision,
        "task": spec["task"],
        "fewshot": spec["fewshot"],
        "attention": machine.attention,
        "device": torch.cuda.get_device_name() if cuda else machine.device,
    }


def _slug(circumstances: Mapping[str, str | int]) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(map(str, circumstances.values())))
