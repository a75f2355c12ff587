"""What several tests share: a small Llama, and the folder of real data that some need."""

import gc
import os
import signal
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

ROOT = Path(__file__).parent.parent

# A shell starts what runs in the background deaf to it, and what the tests start would stay so.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin first, so that no process is left alone with them."""
    items.sort(key=lambda item: item.path.parent.name not in ("workflow", "faults"))


def pytest_collection_finish() -> None:
    """accelerate collects after every training, and need not look through what is imported."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def project_root(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository as the working directory, where studies and schemas are found."""
    monkeypatch.chdir(ROOT)
    return ROOT


@pytest.fixture
def small_llama() -> LlamaForCausalLM:
    return make_llama()


def make_llama(seed: int = 0) -> LlamaForCausalLM:
    """Two layers of width 32; the same weights for the same seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        use_cache=False,
    )
    return LlamaForCausalLM(config).requires_grad_(False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets; tests that need them are skipped where they are absent."""
    folder = Path(os.environ.get("RIGSA_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set RIGSA_SHARED_DATA to a folder that has them")
    return folder
