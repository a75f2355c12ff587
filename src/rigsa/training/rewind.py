"""The values that a training has at one of its steps, for later ones to go back to."""

from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from transformers import TrainerCallback, TrainerState, TrainingArguments


class ValuesAt(TrainerCallback):
    """Copies the adapter when `step` is done (Frankle et al. 2019, arXiv 1903.01611, section 3).

    Attributes:
        values: by the names that they are saved under; empty before that step. Part of what is
            kept of a training, as the step may have been in an earlier sitting.
    """

    def __init__(self, model: PeftModel, step: int, values: dict[str, torch.Tensor]) -> None:
        self.model, self.step, self.values = model, step, values

    def on_step_end(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        if state.global_step == self.step:
            self.values |= saved_form(self.model, copy=True)


def saved_form(model: PeftModel, copy: bool = False) -> dict[str, torch.Tensor]:
    """The adapter's tensors by the names of a saved one; copies are on the CPU."""
    # PEFT would ask the hub whether the vocabulary is still that of the base model.
    found = get_peft_model_state_dict(model, save_embedding_layers=False)
    if not copy:
        return found
    return {name: value.detach().to("cpu", copy=True) for name, value in found.items()}
