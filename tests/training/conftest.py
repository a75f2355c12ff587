"""A base-model folder and task data small enough to train on in a second."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rigsa.files import write_jsonl
from rigsa.models.tokenizer import build_tokenizer
from rigsa.tasks.textual_digits import messages, scikit_digits


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(base model folder, task data folder): 48 training images, 20 validation images."""
    root = tmp_path_factory.mktemp("small")
    splits = scikit_digits()
    splits = {"train": splits["train"][:48], "validation": splits["validation"][:20]}
    for split, docs in splits.items():
        write_jsonl(root / "task" / f"{split}.jsonl", docs)
    texts = [turn["content"] for doc in splits["train"] for turn in messages(doc)]
    tokenizer = build_tokenizer(texts, 400, 256)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(root / "base")
    tokenizer.save_pretrained(root / "base")
    return root / "base", root / "task"
