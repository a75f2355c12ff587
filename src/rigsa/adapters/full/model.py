"""Puts a delta on every weight of a model; tied weights stay tied."""

from typing import Any, ClassVar

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from rigsa.adapters.full.config import FullConfig
from rigsa.adapters.full.layer import FullLayer


class FullModel(BaseTuner):
    """The tuner behind `get_peft_model(model, FullConfig())`."""

    prefix: str = "full_delta_"
    tuner_layer_cls = FullLayer
    target_module_mapping: ClassVar[dict[str, Any]] = {}

    def _create_and_replace(
        self,
        peft_config: FullConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **optional_kwargs: Any,
    ) -> None:
        layer = target
        if not isinstance(target, FullLayer):
            weights = dict(target.named_parameters(recurse=False))
            if not weights:
                return  # The pattern that finds every module finds those without weights as well.
            _check(target, weights, current_key)
            layer = FullLayer(target, self._tied(weights))
            self._replace_module(parent, target_name, layer, target)
        layer.update_layer(adapter_name, getattr(torch, peft_config.dtype))
        if adapter_name not in self.active_adapter:
            layer.requires_grad_(False)

    def _tied(self, weights: dict[str, nn.Parameter]) -> dict[str, tuple[FullLayer, str]]:
        """The earlier layers that these weights belong to, such as a head's embedding."""
        holders = {
            weight: (layer, name)
            for layer in self.model.modules()
            if isinstance(layer, FullLayer)
            for name, weight in layer.own_weights()
        }
        return {name: holders[weight] for name, weight in weights.items() if weight in holders}

    def _check_tied_modules(self, model: nn.Module, peft_config: FullConfig) -> None:
        """Nothing to warn of: tied weights have one delta, and are merged as one."""

    def _get_tied_target_modules(self, model: nn.Module) -> list[str]:
        return []

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """Nothing to do: values have the configuration's dtype."""


def _check(module: nn.Module, weights: dict[str, nn.Parameter], name: str) -> None:
    plain = set(weights) <= {"weight", "bias"} and not any(True for _ in module.children())
    if not plain or not all(weight.is_floating_point() for weight in weights.values()):
        raise ValueError(
            f"{name} is a {type(module).__name__}, whose weights cannot be trained one by one; "
            "leave it out by exclude_modules, or choose a base that is not quantised."
        )
