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


def cards(training: Mapping[str, Any]) -> int:
    """Cards that share a training; raises ConfigError where a batch has not a row for each."""
    gpus, batch = training.get("gpus", 1), training["batch_size"]
    if not 1 <= gpus <= batch:
        raise ConfigError(
            f"gpus is {gpus}, and batch_size {batch}, of which every card takes a part; set gpus "
            f"to at least 1 and at most {batch}."
        )
    return gpus


def part_size(training: Mapping[str, Any]) -> int:
    """Items of a batch that one card takes, at most."""
    return -(-training["batch_size"] // cards(training))


def pass_size(training: Mapping[str, Any], limit: int) -> int:
    """Items in a pass: a card's part in as few passes as the limit allows, of about one size."""
    part = part_size(training)
    return -(-part // -(-part // limit))
