"""What a training leaves behind: a line per logging step, totals, and progress with ETA."""

import logging
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

logger = logging.getLogger(__name__)

SPARSE = ("density", "sign_kept", "gate")


@dataclass
class Progress:
    """What the log of a training has so far; all of it is JSON.

    Attributes:
        rows: of training.jsonl.
        losses: each step's, since the last row.
        step_seconds: spent in steps, the probe left out.
        checks: what was looked at to end the training early.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    step_seconds: float = 0.0
    checks: list[dict[str, Any]] = field(default_factory=list)


class TrainingLog(TrainerCallback):
    """Writes `progress` while the Trainer runs, and says it.

    Args:
        name: which training this is, for the progress lines.
        probe: measures the model on held-out items.
        tokens_per_step: to give speed in tokens a second.
        epochs_per_step: to give both.
        every: steps between two rows; the last step has one as well.
        first: steps that count as done when the training begins.
    """

    def __init__(
        self,
        name: str,
        progress: Progress,
        probe: Callable[[], dict[str, float]],
        tokens_per_step: float,
        epochs_per_step: float,
        every: int,
        first: int = 0,
    ) -> None:
        self.name, self.progress, self.probe = name, progress, probe
        self.tokens_per_step, self.epochs_per_step = tokens_per_step, epochs_per_step
        self.every, self.first = every, first

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_pre_optimizer_step(
        self, *args: Any, optimizer: torch.optim.Optimizer, **kwargs: Any
    ) -> None:
        self._rate = float(optimizer.param_groups[0]["lr"])

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        # Not later: other callbacks may have much to do at a step's end.
        self.progress.step_seconds += time.perf_counter() - self._began

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module,
        **kwargs: Any,
    ) -> None:
        progress = self.progress
        last = state.global_step == state.max_steps or control.should_training_stop
        if state.global_step % self.every and not last:
            return
        step_seconds = progress.step_seconds / (state.global_step - self.first)
        speed = self.tokens_per_step / step_seconds
        row = {
            "step": state.global_step,
            "epoch": round(state.global_step * self.epochs_per_step, 4),
            "loss": fmean(progress.losses),
            "learning_rate": self._rate,
            **self.probe(),
            **layer_statistics(model),
            "tokens_per_second": round(speed, 1),
            "peak_memory_bytes": peak_memory(),
        }
        progress.rows.append(row)
        progress.losses.clear()
        left = 0 if last else step_seconds * (state.max_steps - state.global_step)
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

    Any layer with `training_statistics()` takes part; each statistic is a number or None. Beside
    those of a sparse delta, which are always there, it may have others.
    """
    layers, sizes = {}, {}
    for name, module in model.named_modules():
        if hasattr(module, "training_statistics"):
            name = getattr(module, "module_name", name)
            layers[name] = module.training_statistics()
            sizes[name] = module.in_features * module.out_features
    free = {name: sizes[name] * layers[name].get("density", 1) for name in layers}
    others = dict.fromkeys(key for layer in layers.values() for key in layer if key not in SPARSE)
    return {
        "density": _mean(layers, "density", sizes),
        "sign_kept": _mean(layers, "sign_kept", free),
        "gate": _mean(layers, "gate", dict.fromkeys(layers, 1), absolute=True),
        **{key: _mean(layers, key, sizes) for key in others},
        "layers": layers,
    }


def troubles(model: torch.nn.Module) -> list[str]:
    """What is wrong with layers after a training, as they say it, and with which of them.

    Any layer with `trouble()` takes part, which gives a sentence or None.
    """
    found: dict[str, list[str]] = {}
    for name, module in model.named_modules():
        sentence = module.trouble() if hasattr(module, "trouble") else None
        if sentence is not None:
            found.setdefault(sentence, []).append(getattr(module, "module_name", name))
    return [f"{_few(names)}: {sentence}" for sentence, names in found.items()]


def _few(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _mean(
    layers: dict[str, dict[str, float | None]],
    key: str,
    weights: dict[str, float],
    absolute: bool = False,
) -> float | None:
    there = {name: layer[key] for name, layer in layers.items() if layer.get(key) is not None}
    total = sum(weights[name] for name in there)
    if not total:
        return None
    return sum(weights[n] * (abs(v) if absolute else v) for n, v in there.items()) / total


def peak_memory() -> int:
    """Bytes: of the GPU's allocator where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
