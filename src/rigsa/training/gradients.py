"""Gradients of the loss in the first batches, for mask rules that rank weights by them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rigsa.adapters.build import build_adapter
from rigsa.files import read_jsonl
from rigsa.machine import Machine
from rigsa.masks.criteria import CRITERIA
from rigsa.models.loading import load_base, load_tokenizer
from rigsa.tasks.textual_digits import ANSWER_OPENING, messages
from rigsa.training.data import Collator, Row, encode
from rigsa.training.gradient_sums import GradientSums
from rigsa.training.loss import answer_loss
from rigsa.training.order import Batches

Tensor = torch.Tensor


def summed_gradients(
    spec: Mapping[str, Any], base_model: Path, task_data: Path, machine: Machine
) -> dict[str, Tensor]:
    """What `spec["rule"]` ranks by: a float32 tensor (out_features, in_features) by module.

    The batches are the first ones that a training with `spec["seed"]` sees, as many as
    `spec["batches"]`, or one: dL/dΔW of the dense initial adapter. With `spec["warmup"]` a low-rank
    training comes before them (`training.warmup`).
    """
    torch.set_num_threads(machine.threads)
    tokenizer = load_tokenizer(base_model)
    model = load_base(base_model, machine, spec["quantization"])
    docs = read_jsonl(task_data / "train.jsonl")
    rows = encode(map(messages, docs), ANSWER_OPENING, tokenizer)
    collate = Collator(tokenizer.pad_token_id)
    sums = GradientSums(CRITERIA[spec["rule"]].squares)
    if "warmup" in spec:
        from rigsa.training.warmup import add_gradients_after_warmup

        add_gradients_after_warmup(sums, spec, model, rows, collate, machine)
    else:
        _add_first_gradients(sums, spec, model, rows, collate, machine)
    return {module: total.cpu() for module, total in sums.sums.items()}


def _add_first_gradients(
    sums: GradientSums,
    spec: Mapping[str, Any],
    model: torch.nn.Module,
    rows: Sequence[Row],
    collate: Collator,
    machine: Machine,
) -> None:
    adapted = build_adapter(model, spec["adapter"], spec["seed"], mask=None)
    for batch in Batches(rows, spec["batch_size"], spec.get("batches", 1), spec["seed"]):
        for start in range(0, len(batch), machine.micro_batch_size):
            part = collate(batch[start : start + machine.micro_batch_size])
            part = {key: value.to(machine.device) for key, value in part.items()}
            answer_loss(adapted, part, len(batch)).backward()
        for module in adapted.modules():
            if hasattr(module, "sparse_delta_values"):
                values = module.sparse_delta_values["default"]
                sums.add(module.module_name, values.grad)
                values.grad = None
        sums.end_batch()
