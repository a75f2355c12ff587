"""A tiny random model with a real tokenizer, and small data files for the tasks."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def data_files(tmp_path_factory):
    """Data files by task and split: {"tiny_gsm": {"train": path, …}, …}."""
    from rigsa.files import write_jsonl
    from rigsa.tasks.generated import generate
    from rigsa.tasks.textual_digits import scikit_digits

    folder = tmp_path_factory.mktemp("data")
    tasks = {
        name: generate(name, 0, {"train": 40, "validation": 20, "test": 40})
        for name in ("tiny_gsm", "tiny_piqa", "tiny_hellaswag")
    }
    tasks["textual_digits"] = scikit_digits()
    files: dict[str, dict[str, str]] = {}
    for task, splits in tasks.items():
        for split, docs in splits.items():
            path = folder / task / f"{split}.jsonl"
            write_jsonl(path, docs)
            files.setdefault(task, {})[split] = str(path)
    # lm-eval's own piqa has the same columns.
    files["piqa"] = {split: files["tiny_piqa"][split] for split in ("train", "validation")}
    return files


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, data_files) -> Path:
    """A random Llama with the embedded tokenizer as a Hugging Face folder."""
    import torch
    from transformers import LlamaForCausalLM

    from rigsa.models.tokenizer import build_tokenizer

    folder = tmp_path_factory.mktemp("model")
    texts = [Path(path).read_text() for splits in data_files.values() for path in splits.values()]
    tokenizer = build_tokenizer(texts, vocabulary=600)
    torch.manual_seed(0)
    LlamaForCausalLM(tiny_config(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def real_files(shared_data, tmp_path_factory) -> dict[str, dict[str, str]]:
    """The first 60 rows of each real file, as data files by stock task and split."""
    import json

    from rigsa.files import write_jsonl

    folder = tmp_path_factory.mktemp("real")
    sources = {
        "gsm8k": {"train": "gsm8k/train.jsonl", "test": "gsm8k/test.jsonl"},
        "piqa": {
            "train": "piqa/train_with_labels.jsonl",
            "validation": "piqa/valid_with_labels.jsonl",
        },
        # The same rows twice: lm-eval opens the training split even where no examples are shown.
        "hellaswag": dict.fromkeys(
            ("train", "validation"), "hellaswag/hellaswag_val_1000_reconstructed.jsonl"
        ),
    }
    files: dict[str, dict[str, str]] = {}
    for task, splits in sources.items():
        for split, source in splits.items():
            lines = (shared_data / source).read_text().splitlines()[:60]
            path = folder / task / f"{split}.jsonl"
            write_jsonl(path, [json.loads(line) for line in lines])
            files.setdefault(task, {})[split] = str(path)
    return files


@pytest.fixture(scope="session")
def smollm2_tokenizer(shared_data):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared_data / "smollm2")


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return (
        AutoModelForCausalLM.from_pretrained(tiny_folder),
        AutoTokenizer.from_pretrained(tiny_folder),
    )


def tiny_config(tokenizer):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        # Wide initial values, so that a random model's answers differ from item to item.
        initializer_range=1.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
