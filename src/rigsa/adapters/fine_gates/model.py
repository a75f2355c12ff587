"""Puts gates on a model's linear layers, and says what open ones add to the loss."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from rigsa.adapters.fine_gates.config import FineGatesConfig
from rigsa.adapters.fine_gates.layer import FineGatesLayer
from rigsa.adapters.tuner import AdapterTuner


class FineGatesModel(AdapterTuner):
    """The tuner behind `get_peft_model(model, FineGatesConfig(...))`."""

    prefix: str = "fine_gates_"
    tuner_layer_cls = FineGatesLayer

    def _wrapped(self, target: nn.Module, name: str) -> FineGatesLayer:
        if not isinstance(target, nn.Linear):
            raise ValueError(
                f"{name} is a {type(target).__name__}; gates go only on linear layers; "
                "choose other target_modules."
            )
        return FineGatesLayer(target, name)

    def _add(self, layer: FineGatesLayer, adapter_name: str, config: FineGatesConfig) -> None:
        layer.update_layer(adapter_name, config)

    @contextmanager
    def extra_loss(
        self, batch: Mapping[str, torch.Tensor]
    ) -> Iterator[Callable[[], torch.Tensor | float]]:
        """What it yields gives the penalty: the batch's `share` of it, or all of it without one.

        coefficient · mean over gate vectors of |mean P(open) − (1 − target)|; a matrix has two.
        """
        yield lambda: batch.get("share", 1.0) * self._penalty()

    def _penalty(self) -> torch.Tensor | float:
        layers = [m for m in self.model.modules() if isinstance(m, FineGatesLayer)]
        penalty = 0.0
        for name in self.active_adapters:
            config = self.peft_config[name]
            there = [layer.shares_open(name) for layer in layers if name in layer.fine_gates_rows]
            distances = (torch.cat(there) - (1 - config.target)).abs()
            penalty = penalty + config.coefficient * distances.mean()
        return penalty
