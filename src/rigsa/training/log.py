"""What a training leaves behind: a line per logging step, totals, and progress with ETA."""

import logging
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

logger = logging.getLogger(__name__)


class TrainingLog(TrainerCallback):
    """Collects `rows` of training.jsonl while the Trainer runs.

    Args:
        name: which training this is, for the progress lines.
        probe: measures the model on held-out items.
        tokens_per_step: to give speed in tokens a second.
    """

    def __init__(
        self, name: str, probe: Callable[[], dict[str, float]], tokens_per_step: float
    ) -> None:
        self.name = name
        self.probe = probe
        self.tokens_per_step = tokens_per_step
        self.rows: list[dict[str, Any]] = []
        # Seconds spent in training steps, the probe left out.
        self.seconds = 0.0

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds += time.perf_counter() - self._began

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        model: torch.nn.Module,
        **kwargs: Any,
    ) -> None:
        if "loss" not in logs:  # The Trainer's own totals at the end.
            return
        speed = state.global_step * self.tokens_per_step / self.seconds
        row = {
            "step": state.global_step,
            "epoch": round(logs["epoch"], 4),
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            **self.probe(),
            **layer_statistics(model),
            "tokens_per_second": round(speed, 1),
            "peak_memory_bytes": peak_memory(),
        }
        self.rows.append(row)
        left = self.seconds / state.global_step * (state.max_steps - state.global_step)
        logger.info(
            "%s: step %d of %d, loss %.4f, validation accuracy %.1f %%, %.0f tokens/s, %.0f s left",
            self.name,
            state.global_step,
            state.max_steps,
            row["loss"],
            100 * row["validation_accuracy"],
            speed,
            left,
        )


def layer_statistics(model: torch.nn.Module) -> dict[str, Any]:
    """What the adapter's layers say of themselves, and the means over all their weights.

    Any layer with `training_statistics()` takes part; each statistic is a number or None.
    """
    layers, sizes = {}, {}
    for name, module in model.named_modules():
        if hasattr(module, "training_statistics"):
            name = getattr(module, "module_name", name)
            layers[name] = module.training_statistics()
            sizes[name] = module.in_features * module.out_features
    free = {name: sizes[name] * layers[name]["density"] for name in layers}
    return {
        "density": _mean(layers, "density", sizes),
        "sign_kept": _mean(layers, "sign_kept", free),
        "gate": _mean(layers, "gate", dict.fromkeys(layers, 1), absolute=True),
        "layers": layers,
    }


def _mean(
    layers: dict[str, dict[str, float | None]],
    key: str,
    weights: dict[str, float],
    absolute: bool = False,
) -> float | None:
    there = {name: layer[key] for name, layer in layers.items() if layer[key] is not None}
    total = sum(weights[name] for name in there)
    if not total:
        return None
    return sum(weights[n] * (abs(v) if absolute else v) for n, v in there.items()) / total


def peak_memory() -> int:
    """Bytes: of the GPU's allocator where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
