"""A short low-rank training, and the gradients of the whole matrices at its end (RoSA)."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.batches import pass_size, steps_with_warmup
from rigsa.errors import RigsaError
from rigsa.machine import Machine
from rigsa.training.data import Collator, Row
from rigsa.training.gradient_sums import GradientSums
from rigsa.training.order import Batches
from rigsa.training.out_of_memory import out_of_memory
from rigsa.training.trainer import AnswerTrainer, NotFinite, training_arguments


def add_gradients_after_warmup(
    sums: GradientSums,
    spec: Mapping[str, Any],
    model: PreTrainedModel,
    rows: Sequence[Row],
    collate: Collator,
    machine: Machine,
) -> None:
    """Adds dL/dW of every adapted matrix, W being W0 and what the low-rank part has learnt.

    The first `spec["warmup"]["steps"]` steps of a training with `spec["warmup"]["adapter"]` add
    nothing, and the `spec["batches"]` steps after them, or one, add theirs while it trains on. It
    is the beginning of a whole training: learning rates are those of its schedule (RoSA, arXiv
    2401.04679; the schedule wl64 of IST-DASLab/peft-rosa).

    Raises RigsaError where a loss or gradient is no number or the memory does not suffice,
    ConfigError where the whole training is shorter than that.
    """
    warmup, batches = spec["warmup"], spec.get("batches", 1)
    training = warmup["training"]
    weights = {name: model.get_submodule(name).weight for name in linear_shapes(model)}
    adapted = build_adapter(model, warmup["adapter"], spec["seed"], mask=None)
    steps = steps_with_warmup(warmup, batches, len(rows))
    gathering = Gathering(sums, weights, warmup["steps"], warmup["steps"] + batches)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = AnswerTrainer(
            model=adapted,
            args=training_arguments(training, machine, spec["seed"], steps, Path(scratch)),
            train_dataset=Batches(rows, training["batch_size"], steps, spec["seed"]),
            collate=collate,
            micro_batch_size=pass_size(training, machine.micro_batch_size),
            callbacks=[gathering],
            decay_gate=training.get("decay_gate", True),
            losses=[],
        )
        trainer.remove_callback(PrinterCallback)
        try:
            trainer.train()
        except NotFinite as error:
            raise RigsaError(
                f"before the mask is chosen, {error}; lower the arm's learning_rate in the study, "
                "or raise its warm-up."
            ) from None
        except torch.OutOfMemoryError:
            raise RigsaError(f"the mask's warm-up {out_of_memory(machine)}.") from None


class Gathering(TrainerCallback):
    """Lets frozen weights have gradients from step `first` on, and ends the training at `last`.

    Each gradient goes as soon as it is there: at no time are there those of all matrices, and
    clipping and the optimizer see the low-rank part's alone.
    """

    def __init__(
        self,
        sums: GradientSums,
        weights: Mapping[str, torch.nn.Parameter],
        first: int,
        last: int,
    ) -> None:
        self.sums, self.weights = sums, weights
        self.first, self.last = first, last

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, *others: Any, **kwargs: Any
    ) -> None:
        if state.global_step != self.first:
            return
        for name, weight in self.weights.items():
            weight.requires_grad_(True)
            weight.register_post_accumulate_grad_hook(partial(self._take, name))

    def _take(self, name: str, weight: torch.nn.Parameter) -> None:
        self.sums.add(name, weight.grad)
        weight.grad = None

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        self.sums.end_batch()
        control.should_training_stop = state.global_step >= self.last
