"""Bytes on the disk that jobs leave behind."""

from rigsa.forecast.adapters import FLOAT32, Adapter
from rigsa.forecast.memory import candidate_bytes, optimizer_bytes, value_bytes
from rigsa.forecast.shape import ModelShape
from rigsa.forecast.sizes import TaskSize
from rigsa.forecast.workload import Workload

# Lines of training.jsonl with every layer's statistics, and the small JSON files of a checkpoint.
LOG_BYTES_PER_MATRIX = 100
SMALL_FILES = 10_000
# One row of a samples file, compressed; a token as text.
SAMPLE_BYTES, TOKEN_BYTES = 100, 4
# A tokenizer's files.
TOKENIZER_BYTES = 4_000_000


def mask_bytes(adapter: Adapter) -> int:
    """One bit a weight, at every density."""
    return -(-adapter.adapted // 8)


def checkpoint_bytes(adapter: Adapter, log_lines: int) -> int:
    """The saved adapter with the places of its values, SHiRA's apart as a mask; and the log."""
    places = adapter.index_bytes
    if adapter.formed and adapter.density < 1:
        places = mask_bytes(adapter)
    log = log_lines * LOG_BYTES_PER_MATRIX * adapter.layers * len(adapter.matrices)
    return value_bytes(adapter) + places + log + SMALL_FILES


def state_bytes(work: Workload) -> int:
    """What a training keeps to go on from: the next one is written before the last one goes."""
    adapter, moving = work.adapter, 0
    if adapter.gathers:
        moving = adapter.index_bytes + candidate_bytes(adapter)
    return 2 * (value_bytes(adapter) + optimizer_bytes(work.optimizer, adapter) + moving)


def samples_bytes(items: int) -> int:
    return items * SAMPLE_BYTES + SMALL_FILES


def model_bytes(shape: ModelShape, trained_here: bool) -> int:
    """The base model's folder: one that is trained here is float32, those of the hub bfloat16."""
    return shape.weights * (FLOAT32 if trained_here else 2) + TOKENIZER_BYTES


def task_bytes(size: TaskSize) -> int:
    return round((size.train * size.row + size.test * size.prompt) * TOKEN_BYTES) + SMALL_FILES
