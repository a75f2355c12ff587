"""How many optimizer steps a training takes."""

from collections.abc import Mapping
from typing import Any


def optimizer_steps(training: Mapping[str, Any], rows: int) -> int:
    """Of a training on so many items; 0 where `epochs` is too small for a single batch."""
    return round(training["epochs"] * rows / training["batch_size"])
