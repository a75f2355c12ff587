"""The base-model job: conversations of the source tasks in, a Hugging Face folder out."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from rigsa.files import read_jsonl
from rigsa.hashing import file_hash
from rigsa.machine import Machine
from rigsa.models.embedded import train_base_model
from rigsa.resume.keeper import Often
from rigsa.resume.unfinished import made_from, unfinished
from rigsa.tasks.generated import generator


def make_base_model(
    spec: Mapping[str, Any],
    task_data: Sequence[Path],
    output: Path,
    machine: Machine,
    unfinished_folder: Path | None = None,
) -> None:
    """Trains the base model on the training text of the tasks in `spec["tasks"]`.

    `task_data` has one folder for each of them, in the same order. The state of the training is
    kept in `unfinished_folder`; one that ended early goes on from there.
    """
    torch.set_num_threads(machine.threads)
    conversations = {
        task: [generator(task).messages(doc) for doc in read_jsonl(folder / "train.jsonl")]
        for task, folder in zip(spec["tasks"], task_data, strict=True)
    }
    often = Often(machine.checkpoint_steps, machine.checkpoint_minutes)
    with ExitStack() as stack:
        folder = None
        if unfinished_folder is not None:
            definition = made_from(
                spec, data=[file_hash(folder / "train.jsonl") for folder in task_data]
            )
            folder, done = stack.enter_context(unfinished(unfinished_folder, definition, [output]))
            if done:
                return
        train_base_model(spec, conversations, output, folder=folder, often=often)
