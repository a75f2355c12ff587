"""Ends a training once the mask that is drawn from it has settled."""

from collections.abc import Mapping
from typing import Any

import torch
from peft import PeftModel
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rigsa.mask_rules import DISTANCE, WINDOW
from rigsa.masks.budget import budget
from rigsa.masks.job import chosen
from rigsa.masks.score import Scorer
from rigsa.masks.storage import Shapes, count, total
from rigsa.masks.values import TrainedValues
from rigsa.training.rewind import saved_form


class EarlyBird(TrainerCallback):
    """Looks at the mask of the next step at regular steps (You et al. 2020, arXiv 1909.11957).

    The training ends where each of the last `window` masks differs from the one before it in less
    than `distance` of all weights.

    Args:
        spec: window, distance, and the `mask` as its own job is given it (`specs.mask_settings`).
        shapes: (out_features, in_features) of the adapted modules, in the model's order.
        every: steps between two looks.
        checks: each look's step and distance are put at its end.
        last: the last mask's packed bits by module; part of what is kept of a training.
        threads: that draw a mask.
    """

    def __init__(
        self,
        model: PeftModel,
        spec: Mapping[str, Any],
        shapes: Shapes,
        every: int,
        checks: list[dict[str, Any]],
        last: dict[str, torch.Tensor],
        threads: int = 1,
    ) -> None:
        self.model, self.mask, self.shapes, self.threads = model, spec["mask"], shapes, threads
        self.every, self.checks, self.last = every, checks, last
        self.window = spec.get("window", WINDOW)
        self.distance = spec.get("distance", DISTANCE)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if state.global_step % self.every:
            return
        drawn = self._drawn()
        if self.last:
            moved = sum(count(drawn[name] ^ self.last[name]) for name in drawn)
            distance = moved / total(self.shapes)
            self.checks.append({"step": state.global_step, "distance": distance})
        self.last.update(drawn)
        recent = [check["distance"] for check in self.checks[-self.window :]]
        if len(recent) == self.window and max(recent) < self.distance:
            control.should_training_stop = True

    def _drawn(self) -> dict[str, torch.Tensor]:
        """The mask that would be chosen now, in packed bits."""
        saved = saved_form(self.model)
        values = TrainedValues(lambda name: saved[name].cpu(), "the training")
        scorer = Scorer(self.mask, self.shapes, None, values, None)
        groups = chosen(scorer, budget(self.mask, self.shapes, None), self.threads)
        return dict(zip(self.shapes, (bits for masks, _ in groups for bits in masks), strict=True))
