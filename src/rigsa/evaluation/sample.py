"""Talking to a checkpoint: in the terminal, and once for figure 6."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from rigsa.evaluation.chat import chat, sample_chat
from rigsa.evaluation.harness import harness
from rigsa.evaluation.task import first_question
from rigsa.files import read_json, read_jsonl, write_text
from rigsa.machine import Machine
from rigsa.models.loading import load_checkpoint, load_tokenizer
from rigsa.paths import CheckpointPaths
from rigsa.tasks.generated import generator


def chat_with(checkpoint: Path, base_model: Path, task_data: Path, machine: Machine) -> None:
    """A chat in the terminal; `task_data` has the images that /digit shows."""
    chat(*_load(checkpoint, base_model, machine), read_jsonl(task_data / "test.jsonl"))


def write_sample_chat(
    checkpoint: Path,
    base_model: Path,
    task_data: Path,
    source_data: Sequence[Path],
    output: Path,
    machine: Machine,
) -> None:
    """Asks the first test question of each source task and then shows the first test image."""
    with harness():
        questions = [_question(folder) for folder in source_data]
    digit = read_jsonl(task_data / "test.jsonl")[0]
    turns = sample_chat(*_load(checkpoint, base_model, machine), questions, digit)
    write_text(output, json.dumps(turns, indent=1, ensure_ascii=False) + "\n")


def trained_on(checkpoint: Path) -> Path:
    """The base model's folder that the adapter names."""
    config = read_json(CheckpointPaths(checkpoint).adapter / "adapter_config.json")
    return Path(config["base_model_name_or_path"])


def _load(
    checkpoint: Path, base_model: Path, machine: Machine
) -> tuple[torch.nn.Module, PreTrainedTokenizerBase]:
    paths = CheckpointPaths(checkpoint)
    quantization = read_json(paths.training)["spec"]["quantization"]
    model = load_checkpoint(base_model, paths.adapter, machine, quantization)
    return model, load_tokenizer(base_model)


def _question(folder: Path) -> str:
    """The first item's question in the words of its benchmark."""
    spec = read_json(folder / "info.json")["spec"]
    if "stock" in spec:
        return first_question(spec["stock"], folder)
    return generator(spec["generator"]).messages(read_jsonl(folder / "test.jsonl")[0])[0]["content"]
