"""The training job: one checkpoint from a base model, the task's data and perhaps a mask."""

import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.errors import RigsaError
from rigsa.files import read_jsonl, whole_folder, write_json, write_jsonl
from rigsa.machine import Machine
from rigsa.masks.storage import load_mask
from rigsa.models.loading import load_base, load_tokenizer
from rigsa.paths import ADAPTER_FILES, CheckpointPaths
from rigsa.tasks.textual_digits import ANSWER_OPENING, messages
from rigsa.training.data import Collator, encode
from rigsa.training.log import TrainingLog, layer_statistics, peak_memory
from rigsa.training.probe import Probe
from rigsa.training.trainer import AnswerTrainer, training_arguments
from rigsa.versions import versions

logger = logging.getLogger(__name__)

# Enough held-out items to steer by, few enough to cost nothing beside the training.
PROBE_ITEMS = 100


def train(
    spec: Mapping[str, Any],
    base_model: Path,
    task_data: Path,
    mask_file: Path | None,
    checkpoint: CheckpointPaths,
    machine: Machine,
) -> None:
    """Trains one checkpoint and writes its adapter, training.jsonl and training.json."""
    torch.set_num_threads(machine.threads)
    tokenizer = load_tokenizer(base_model)
    model = load_base(base_model, machine, spec["quantization"])
    shapes = linear_shapes(model)
    sizes = {
        "total_parameters": model.num_parameters(),
        "adapted_parameters": sum(shape.numel() for shape in shapes.values()),
    }
    mask = None
    if mask_file is not None:
        mask = load_mask(mask_file)
        mask.check_fits(shapes, mask_file)
    adapted = build_adapter(model, spec["adapter"], spec["seed"], mask)
    train_rows, validation_rows = (
        encode(map(messages, read_jsonl(task_data / f"{split}.jsonl")), ANSWER_OPENING, tokenizer)
        for split in ("train", "validation")
    )
    collate = Collator(tokenizer.pad_token_id)
    probe = Probe(adapted, _batches(validation_rows[:PROBE_ITEMS], collate, machine))
    training = spec["training"]
    tokens = sum(len(row["input_ids"]) for row in train_rows) / len(train_rows)
    name = "/".join(checkpoint.folder.parts[-3:])  # arm, seed and step
    log = TrainingLog(name, probe, tokens * training["batch_size"])
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = AnswerTrainer(
            model=adapted,
            args=training_arguments(
                training, machine, spec["seed"], len(train_rows), Path(scratch)
            ),
            train_dataset=train_rows,
            data_collator=collate,
            callbacks=[log],
            decay_gate=training.get("decay_gate", True),
        )
        trainer.remove_callback(PrinterCallback)  # The log says the same, and when it will end.
        try:
            trainer.train()
        except torch.OutOfMemoryError:
            raise _out_of_memory(name, machine) from None
    with whole_folder(checkpoint.adapter) as partial:
        adapted.save_pretrained(partial)
        for extra in [file for file in partial.iterdir() if file.name not in ADAPTER_FILES]:
            extra.unlink()  # PEFT's model card, which says nothing about this adapter.
    write_jsonl(checkpoint.training_log, log.rows)
    totals = {
        "steps": trainer.state.global_step,
        "seconds": round(time.perf_counter() - began, 2),
        "step_seconds": round(log.seconds, 2),
        "trainable_parameters": sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        **sizes,
        **{k: v for k, v in layer_statistics(adapted).items() if k != "layers"},
        **probe(),
        "loss": log.rows[-1]["loss"],
        "tokens_per_second": log.rows[-1]["tokens_per_second"],
        "peak_memory_bytes": peak_memory(),
        "spec": spec,
        "versions": versions(),
    }
    write_json(checkpoint.training, totals)


def _out_of_memory(name: str, machine: Machine) -> RigsaError:
    ways = []
    if machine.micro_batch_size > 1:
        ways.append(f"micro_batch_size to {machine.micro_batch_size // 2}")
    if not machine.recompute_activations:
        ways.append("activation_checkpointing to full")
    remedy = (
        f"set {' or '.join(ways)} in config.yaml" if ways else "`rigsa plan` says what it needs"
    )
    return RigsaError(
        f"{name} does not fit into the {machine.device}'s memory with micro_batch_size "
        f"{machine.micro_batch_size}; {remedy}. What is finished stays."
    )


def _batches(
    rows: list[dict[str, list[int]]], collate: Collator, machine: Machine
) -> list[dict[str, torch.Tensor]]:
    size = machine.eval_batch_size
    return [
        {key: value.to(machine.device) for key, value in collate(rows[i : i + size]).items()}
        for i in range(0, len(rows), size)
    ]
