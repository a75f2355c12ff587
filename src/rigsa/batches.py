"""How a training's items become steps, and a step's batch passes."""

from collections.abc import Mapping
from typing import Any

from rigsa.errors import ConfigError


def optimizer_steps(training: Mapping[str, Any], rows: int) -> int:
    """Of a training on so many items of its target; raises ConfigError where that is none.

    transformers takes 0 steps for "not said" and trains three epochs.
    """
    own = training["batch_size"] - replayed(training)
    steps = round(training["epochs"] * rows / own)
    if steps == 0:
        raise ConfigError(
            f"epochs is {training['epochs']}, less than one batch of {own} of "
            f"the {rows} training items; set it higher."
        )
    return steps


def steps_with_warmup(warmup: Mapping[str, Any], batches: int, rows: int) -> int:
    """Of the training that a mask's warm-up is the beginning of.

    Raises ConfigError where it ends before the warm-up and the `batches` that are looked at then.
    """
    steps = optimizer_steps(warmup["training"], rows)
    if warmup["steps"] + batches > steps:
        raise ConfigError(
            f"warmup.steps is {warmup['steps']}, and the gradients of {batches} more are taken, "
            f"but a training has {steps} steps; set fewer."
        )
    return steps


def replayed(training: Mapping[str, Any]) -> int:
    """Rows of each batch that are of source tasks; ConfigError where that is none or all of them.

    The others are the target's, and an epoch is once through them: replay makes it longer.
    """
    if "replay" not in training:
        return 0
    share, batch = training["replay"]["share"], training["batch_size"]
    rows = round(share * batch)
    if not 0 < rows < batch:
        raise ConfigError(
            f"replay.share is {share}, which is {rows} of the {batch} rows of a batch, and there "
            "must be some of either kind; change it, or set a larger batch_size."
        )
    return rows


def share_in_steps(name: str, share: float, steps: int) -> int:
    """A share of a training in optimizer steps, at least one; ConfigError where it is all."""
    part = max(1, round(share * steps))
    if part >= steps:
        raise ConfigError(f"{name} is {share}, which is all of {steps} steps; set it lower.")
    return part


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
