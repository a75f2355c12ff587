"""The paper's study cut down to a minute, with a made-up hub in place of the real one."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.hub import HubCache, write_llama, write_mnist, write_parquet
from tests.workflow.conftest import Project

KEPT_ARMS = ("base", "base_4bit", "rigsa", "qlora_r1")


def fill_hub(home: Path, shared_data: Path) -> HubCache:
    """All that the study names: a tiny Llama, plain and in 4-bit, random images, real questions."""
    hub = HubCache(home)
    tokenizer = shared_data / "smollm2"
    hub.add("model", "HuggingFaceTB/SmolLM2-1.7B-Instruct", lambda f: write_llama(f, tokenizer))
    hub.add(
        "model", "unsloth/SmolLM2-1.7B-Instruct-bnb-4bit", lambda f: write_llama(f, tokenizer, True)
    )
    rng = np.random.default_rng(0)
    images = {
        split: rng.integers(0, 256, (count, 28, 28), np.uint8)
        for split, count in (("train", 1000), ("test", 10))
    }
    labels = {split: [i % 10 for i in range(len(images[split]))] for split in images}
    hub.add("dataset", "ylecun/mnist", lambda f: write_mnist(f, images, labels))
    for repository, config, files in (
        ("baber/piqa", "default", {"validation": "piqa/valid_with_labels.jsonl"}),
        (
            "Rowan/hellaswag",
            "default",
            {"validation": "hellaswag/hellaswag_val_1000_reconstructed.jsonl"},
        ),
        ("openai/gsm8k", "main", {"train": "gsm8k/train.jsonl", "test": "gsm8k/test.jsonl"}),
    ):
        splits = {split: first_rows(shared_data / file) for split, file in files.items()}
        hub.add("dataset", repository, lambda f, c=config, s=splits: write_parquet(f, c, s))
    return hub


def first_rows(file: Path, count: int = 20) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()[:count]]


def cut_down(project: Project) -> None:
    """Few items, few steps, two IMP iterations, one rank."""

    def study(content: dict[str, Any]) -> None:
        content["arms"] = {name: content["arms"][name] for name in KEPT_ARMS}
        content["arms"]["rigsa"]["iterations"] = 2
        content["training"] |= {"epochs": 0.016, "batch_size": 8, "warmup_steps": 1, "logs": 1}
        del content["arms"]["qlora_r1"]["training"]["epochs"]
        for benchmark in content["benchmarks"].values():
            benchmark["limit"] = 2

    project.edit("studies/paper.yaml", study)
