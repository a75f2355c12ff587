"""How long a training takes: passes over its micro-batches, and a step of the optimizer."""

from collections.abc import Mapping
from typing import Any

from rigsa.batches import optimizer_steps, part_size
from rigsa.forecast.flops import forward_starts, optimizer_step_bytes, pass_bytes, training_flops
from rigsa.forecast.memory import optimizer_bytes
from rigsa.forecast.speed import Speed
from rigsa.forecast.workload import Workload


def training_seconds(
    work: Workload, training: Mapping[str, Any], rows: int, speed: Speed, done: float = 0.0
) -> float:
    """Of all steps but a share that is `done`; the job's start and the look at held-out items are
    left out.
    """
    return (1 - done) * optimizer_steps(training, rows) * step_seconds(work, training, speed)


def step_seconds(work: Workload, training: Mapping[str, Any], speed: Speed) -> float:
    """Of one step.

    Several cards work at the same time; what goes from one to another is not counted.
    """
    # Backward starts two operations for each of forward's.
    passes = 4 if work.recompute else 3
    starts = passes * forward_starts(work.shape, work.adapter, work.four_bit)
    one = speed.seconds(
        work.micro_batch * training_flops(work), pass_bytes(work), starts, speed.training
    )
    state = optimizer_bytes(work.optimizer, work.adapter)
    step = optimizer_step_bytes(work, state) / speed.bandwidth
    splits = -(-part_size(training) // work.micro_batch)
    return splits * one + step
