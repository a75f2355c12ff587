"""Gradients of the loss at the start of training, for mask rules that rank weights by them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rigsa.adapters.build import build_adapter
from rigsa.files import read_jsonl
from rigsa.machine import Machine
from rigsa.models.loading import load_base, load_tokenizer
from rigsa.tasks.textual_digits import ANSWER_OPENING, messages
from rigsa.training.data import Collator, encode
from rigsa.training.loss import answer_loss
from rigsa.training.order import Batches


def first_batch_gradients(
    spec: Mapping[str, Any], base_model: Path, task_data: Path, machine: Machine
) -> dict[str, torch.Tensor]:
    """dL/dΔW (out_features, in_features) by module, for one batch and the dense initial adapter.

    The batch is the first that a training with `spec["seed"]` sees.
    """
    torch.set_num_threads(machine.threads)
    tokenizer = load_tokenizer(base_model)
    model = load_base(base_model, machine, spec["quantization"])
    adapted = build_adapter(model, spec["adapter"], spec["seed"], mask=None)
    docs = read_jsonl(task_data / "train.jsonl")
    rows = encode(map(messages, docs), ANSWER_OPENING, tokenizer)
    batch = Batches(rows, spec["batch_size"], 1, spec["seed"])[0]
    collate = Collator(tokenizer.pad_token_id)
    for start in range(0, len(batch), machine.micro_batch_size):
        part = collate(batch[start : start + machine.micro_batch_size])
        answer_loss(
            adapted, {key: value.to(machine.device) for key, value in part.items()}, len(batch)
        ).backward()
    return {
        module.module_name: module.sparse_delta_values["default"].grad.cpu()
        for module in adapted.modules()
        if hasattr(module, "sparse_delta_values")
    }
