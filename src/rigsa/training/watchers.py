"""What looks at a training's values while it runs, by the training's SPEC."""

from collections.abc import Mapping
from typing import Any

import torch
from peft import PeftModel
from transformers import TrainerCallback

from rigsa.batches import share_in_steps
from rigsa.training.log import Progress
from rigsa.training.rewind import ValuesAt


def watchers(
    spec: Mapping[str, Any],
    adapted: PeftModel,
    shapes: Mapping[str, torch.Size],
    steps: int,
    progress: Progress,
    beside: dict[str, torch.Tensor],
    threads: int,
) -> list[TrainerCallback]:
    """Callbacks for the Trainer, to stand before those that log and keep the state.

    Args:
        shapes: (out_features, in_features) of the adapted modules.
        steps: of the whole training.
        beside: the tensors that they remember; part of what is kept of a training.
        threads: for what they compute.
    """
    found: list[TrainerCallback] = []
    if "rewind" in spec:
        turn = share_in_steps("rewind", spec["rewind"], steps)
        found.append(ValuesAt(adapted, turn, beside))
    if "early_bird" in spec:
        # With the code that chooses masks, which is behind no training but these.
        from rigsa.training.early_bird import EarlyBird

        settings = spec["early_bird"]
        every = share_in_steps("early_bird.every", settings["every"], steps)
        found.append(EarlyBird(adapted, settings, shapes, every, progress.checks, beside, threads))
    return found
