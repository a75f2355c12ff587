"""Who is told of each step of a training: the adapter's tuner, and what keeps the state."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rigsa.resume.keeper import Keeper


class Tuned(TrainerCallback):
    """Tells the adapter's tuner of each step, if it wants to know: to change what it trains.

    `before_step(step, steps)`, with the number of steps that are done and that of all, comes before
    the first pass. It returns tensors, perhaps none, in whose `grad` it wants the sum over the
    whole batch, which is all passes and ranks. `after_step(step, steps, optimizer)` comes with the
    same numbers after the optimizer's step, and before anything is logged or kept. What it changes
    beside the parameters is in `training_state()` (see rigsa.resume.state).
    """

    def __init__(self) -> None:
        self.measured: Sequence[torch.Tensor] = ()

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module,
        **kwargs: Any,
    ) -> None:
        before_step = getattr(model, "before_step", None)
        if before_step is not None:
            self.measured = before_step(state.global_step, state.max_steps)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module,
        optimizer: Any,
        **kwargs: Any,
    ) -> None:
        after_step = getattr(model, "after_step", None)
        if after_step is not None:
            self.measured = ()
            after_step(state.global_step - 1, state.max_steps, _unwrapped(optimizer))


class Kept(TrainerCallback):
    """Lets a Keeper follow the Trainer."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module,
        optimizer: Any,
        lr_scheduler: Any,
        **kwargs: Any,
    ) -> None:
        self.keeper.begin(model, _unwrapped(optimizer), lr_scheduler)
        state.global_step = self.keeper.step

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.keeper.step_begins()

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.keeper.optimizer_steps()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        # What another callback has ended is not to go on after a stop.
        ends = control.should_training_stop
        self.keeper.step_ended(state.global_step if ends else state.max_steps)


def _unwrapped(optimizer: Any) -> torch.optim.Optimizer:
    """Accelerate wraps it."""
    return getattr(optimizer, "optimizer", optimizer)
