"""The base-model job: conversations of the source tasks in, a Hugging Face folder out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rigsa.files import read_jsonl
from rigsa.models.embedded import train_base_model
from rigsa.tasks.generated import generator


def make_base_model(
    spec: Mapping[str, Any], task_data: Sequence[Path], output: Path, threads: int
) -> None:
    """Trains the base model on the training text of the tasks in `spec["tasks"]`.

    `task_data` has one folder for each of them, in the same order.
    """
    torch.set_num_threads(threads)
    conversations = {
        task: [generator(task).messages(doc) for doc in read_jsonl(folder / "train.jsonl")]
        for task, folder in zip(spec["tasks"], task_data, strict=True)
    }
    train_base_model(spec, conversations, output)
