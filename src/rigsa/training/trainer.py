"""The trainer of every method: transformers.Trainer with the loss at the answer alone."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from rigsa.errors import RigsaError
from rigsa.machine import Machine
from rigsa.training.callbacks import Tuned
from rigsa.training.data import IGNORED, ORIGINAL
from rigsa.training.loss import answer_loss
from rigsa.training.order import random_seed, share
from rigsa.training.ranks import ALONE, Ranks
from rigsa.training.together import sum_gradients

Batch = dict[str, torch.Tensor]


class NotFinite(RigsaError):
    """A loss or gradient that is infinite or no number, before the optimizer could use it."""


class AnswerTrainer(Trainer):
    """A step is a whole batch: its mean loss, in as many passes as the memory asks for.

    An adapter whose tuner has a method `extra_loss(batch)` adds to it: a context manager around
    each pass, from before forward until after backward, that yields what gives the addition. Its
    methods `before_step` and `after_step` are called as well, if it has them: see
    rigsa.training.callbacks.

    The Trainer's own accumulation of gradients is not used. It counts in passes and epochs, so that
    going on in the middle of an epoch would need its private parts.

    Args:
        losses: each step's loss is put at its end.
        micro_batch_size: rows in one pass, at most.
        ranks: that share each batch.
        sharded: the base model's weights are shared out among them as well.

    Attributes:
        agreed: what ends the training was met by all ranks in the same moment.
    """

    def __init__(
        self,
        *args: Any,
        collate: Callable[[Sequence[Any]], Batch],
        micro_batch_size: int,
        decay_gate: bool,
        losses: list[float],
        callbacks: Sequence[TrainerCallback] = (),
        ranks: Ranks = ALONE,
        sharded: bool = False,
        **kwargs: Any,
    ) -> None:
        self.sharded, self.agreed, self.tuned = sharded, False, Tuned()
        passes = partial(_passes, collate, micro_batch_size, ranks.rank, ranks.size)
        # Before those that look at what a step has come to.
        callbacks = [self.tuned, *callbacks]
        super().__init__(*args, data_collator=passes, callbacks=callbacks, **kwargs)
        self.decay_gate, self.losses, self.ranks = decay_gate, losses, ranks
        self.extra_loss = getattr(self.model, "extra_loss", _nothing_more)
        if ranks.size > 1:
            # Accelerate is not to wrap the model in DDP: see sum_gradients.
            prepare = self.accelerator.prepare_model
            self.accelerator.prepare_model = partial(prepare, evaluation_mode=True)

    def get_train_dataloader(self) -> DataLoader:
        """The dataset's items are whole batches already, in their order."""
        return DataLoader(
            self.train_dataset,
            batch_size=None,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: tuple[list[Batch], int],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Adds up the gradients of the batch's passes; returns its mean loss over its answers."""
        model.train()
        loss = torch.zeros((), device=self.args.device)
        if self.ranks.size == 1:
            self._add_up(model, *inputs, loss)
            self._failures: Sequence[torch.Tensor] = ()
        else:
            self._draw_anew(f"rank {self.ranks.rank}")
            failed = False
            try:
                self._add_up(model, *inputs, loss)
            except torch.OutOfMemoryError:
                if self.sharded:
                    raise  # In the middle of a pass the others wait for this rank's weights.
                failed = True  # Here, for its gradients: all end when they know.
            summed = [*model.parameters(), *self.tuned.measured]
            loss, failures = sum_gradients(self.ranks, summed, loss, failed)
            self._failures = failures.unbind()
        self._batch_loss = loss
        return loss

    def _add_up(
        self, model: torch.nn.Module, passes: list[Batch], count: int, loss: torch.Tensor
    ) -> None:
        for part in passes:
            inputs = self._prepare_inputs(part)
            with self.extra_loss(inputs) as extra:
                with self.compute_loss_context_manager():
                    part_loss = answer_loss(model, inputs, count) + extra()
                self.accelerator.backward(part_loss)
            loss += part_loss.detach()

    def _draw_anew(self, what: str) -> None:
        """Random numbers that follow from the step: ranks draw as many as their rows need."""
        torch.manual_seed(random_seed(self.args.seed, self.state.global_step, what))

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        """As the Trainer's, which asks for it between clipping and the optimizer's step.

        Raises NotFinite, and OutOfMemoryError where a rank has met it.
        """
        norm = super()._get_grad_norm(model, grad_norm)
        loss = self._batch_loss
        # One look at the device for all.
        shown = torch.stack([loss, norm.to(loss.device, loss.dtype), *self._failures]).tolist()
        self.agreed = True
        if any(shown[2:]):
            raise torch.OutOfMemoryError
        for what, value in zip(("loss", "gradient's norm"), shown[:2], strict=True):
            if not math.isfinite(value):
                rate = float(self.optimizer.param_groups[0]["lr"])
                raise NotFinite(
                    f"the {what} is {value} in step {self.state.global_step + 1}, at learning rate "
                    f"{rate:.3g}"
                )
        self.agreed = False
        self.losses.append(shown[0])
        if self.ranks.size > 1:
            # An optimizer that rounds by chance must do so alike everywhere.
            self._draw_anew("optimizer")
        return norm

    def _move_model_to_device(self, model: torch.nn.Module, device: torch.device) -> None:
        """Parts of weights are where they belong, and cannot be moved."""
        if not self.sharded:
            super()._move_model_to_device(model, device)

    def floating_point_ops(self, inputs: Any) -> int:
        """Counted by `rigsa plan`."""
        return 0

    def get_decay_parameter_names(self, model: torch.nn.Module) -> list[str]:
        """All of an adapter's parameters decay; its gates, of one element, if the study says so."""
        return [
            name
            for name, parameter in model.named_parameters()
            if self.decay_gate or parameter.numel() > 1
        ]


def training_arguments(
    training: Mapping[str, Any], machine: Machine, seed: int, steps: int, scratch: Path
) -> TrainingArguments:
    """The study's settings as the Trainer takes them.

    Args:
        scratch: a folder for what the Trainer wants to write.
    """
    warmup = training.get("warmup_steps")
    if warmup is None:
        warmup = round(training.get("warmup_ratio", 0.0) * steps)
    return TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=training["batch_size"],
        optim=training["optimizer"],
        learning_rate=training["learning_rate"],
        weight_decay=training["weight_decay"],
        lr_scheduler_type=training["schedule"],
        warmup_steps=warmup,
        max_grad_norm=training["max_grad_norm"],
        optim_args=",".join(f"{k}={v}" for k, v in training.get("optimizer_options", {}).items())
        or None,
        gradient_checkpointing=machine.recompute_activations,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        torch_compile=machine.compile,
        dataloader_num_workers=machine.dataloader_workers,
        seed=seed,
        data_seed=seed,
        use_cpu=machine.device == "cpu",
        # TrainingLog and Keeper do these.
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=machine.device != "cpu",
    )


def _passes(
    collate: Callable[[Sequence[Any]], Batch],
    size: int,
    rank: int,
    ranks: int,
    rows: Sequence[Any],
) -> tuple[list[Batch], int]:
    """The rank's own part of a batch in passes, and the answers of the whole batch.

    Of a batch with replay it is the rows, and in its passes each token of the original domain has
    its share of all of those in the batch.
    """
    mixed = ORIGINAL in rows[0]
    answers = len(rows) if mixed else sum(int((row["labels"] != IGNORED).sum()) for row in rows)
    mine = share(rows, rank, ranks)
    passes = [mine[i : i + size] for i in range(0, len(mine), size)]
    # Ranks that put a layer's weights together must do so in as many passes as any other.
    most = -(-len(share(rows, ranks - 1, ranks)) // size)
    # The first row is the target's, which no penalty looks at.
    silent = {**rows[0], "labels": np.full_like(rows[0]["labels"], IGNORED)}
    passes += [[silent]] * (most - len(passes))
    batches = [collate(part) for part in passes]
    if mixed:
        tokens = sum(int(row[ORIGINAL].sum()) for row in rows)
        for batch in batches:
            batch[ORIGINAL] = batch[ORIGINAL] / tokens
    return batches, answers


@contextmanager
def _nothing_more(batch: Batch) -> Iterator[Callable[[], float]]:
    yield lambda: 0.0
