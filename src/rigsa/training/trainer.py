"""The trainer of every method: transformers.Trainer with the loss at the answer alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from rigsa.batches import optimizer_steps
from rigsa.machine import Machine
from rigsa.training.loss import answer_loss


class AnswerTrainer(Trainer):
    """Mean loss over the answers of a whole batch, however many passes it is split into."""

    # compute_loss divides by the batch's number of answers, so a pass needs no more scaling.
    loss_is_scaled_for_ga = True

    def __init__(self, *args: Any, decay_gate: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.decay_gate = decay_gate
        # Makes the Trainer count the answers of all passes of a batch before the first of them.
        self.model_accepts_loss_kwargs = True

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        return answer_loss(model, inputs, num_items_in_batch)

    def get_decay_parameter_names(self, model: torch.nn.Module) -> list[str]:
        """All of an adapter's parameters decay; its gates, of one element, if the study says so."""
        return [
            name
            for name, parameter in model.named_parameters()
            if self.decay_gate or parameter.numel() > 1
        ]


def training_arguments(
    training: Mapping[str, Any], machine: Machine, seed: int, rows: int, scratch: Path
) -> TrainingArguments:
    """The study's settings as the Trainer takes them.

    Args:
        rows: size of the training set, from which the number of steps follows.
        scratch: a folder for what the Trainer wants to write.
    """
    micro_batch = largest_divisor(training["batch_size"], machine.micro_batch_size)
    steps = optimizer_steps(training, rows)
    warmup = training.get("warmup_steps")
    if warmup is None:
        warmup = round(training.get("warmup_ratio", 0.0) * steps)
    return TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=training["batch_size"] // micro_batch,
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
        logging_steps=max(1, -(-steps // training["logs"])),
        seed=seed,
        data_seed=seed,
        use_cpu=machine.device == "cpu",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=machine.device != "cpu",
    )


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of `number` that is at most `limit`."""
    return next(size for size in range(min(number, limit), 0, -1) if number % size == 0)
