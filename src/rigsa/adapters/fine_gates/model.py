"""Puts gates on a model's linear layers, and says what open ones add to the loss."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from rigsa.adapters.fine_gates.config import FineGatesConfig
from rigsa.adapters.fine_gates.layer import FineGatesLayer


class FineGatesModel(BaseTuner):
    """The tuner behind `get_peft_model(model, FineGatesConfig(...))`."""

    prefix: str = "fine_gates_"
    tuner_layer_cls = FineGatesLayer
    target_module_mapping: ClassVar[dict[str, Any]] = {}

    def _create_and_replace(
        self,
        peft_config: FineGatesConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **optional_kwargs: Any,
    ) -> None:
        layer = target
        if not isinstance(target, FineGatesLayer):
            if not isinstance(target, nn.Linear):
                raise ValueError(
                    f"{current_key} is a {type(target).__name__}; gates go only on linear layers; "
                    "choose other target_modules."
                )
            layer = FineGatesLayer(target, current_key)
            self._replace_module(parent, target_name, layer, target)
        layer.update_layer(adapter_name, peft_config)
        if adapter_name not in self.active_adapter:
            layer.requires_grad_(False)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """Nothing to do: all values are float32."""

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
