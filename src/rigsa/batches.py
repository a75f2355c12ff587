"""How a training's items become steps, and a step's batch passes."""

from collections.abc import Mapping
from typing import Any

from rigsa.errors import ConfigError


def optimizer_steps(training: Mapping[str, Any], rows: int) -> int:
    """Of a training on so many items; raises ConfigError where that is none.

    transformers takes 0 steps for "not said" and trains three epochs.
    """
    steps = round(training["epochs"] * rows / training["batch_size"])
    if steps == 0:
        raise ConfigError(
            f"epochs is {training['epochs']}, less than one batch of {training['batch_size']} of "
            f"the {rows} training items; set it higher."
        )
    return steps


def pass_size(batch: int, limit: int) -> int:
    """Items in a pass: the batch in as few passes as the limit allows, of about the same size."""
    return -(-batch // -(-batch // limit))
