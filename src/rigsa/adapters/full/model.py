"""Puts a delta on every weight of a model; tied weights stay tied."""

import torch
from torch import nn

from rigsa.adapters.full.config import FullConfig
from rigsa.adapters.full.layer import FullLayer
from rigsa.adapters.tuner import AdapterTuner


class FullModel(AdapterTuner):
    """The tuner behind `get_peft_model(model, FullConfig())`."""

    prefix: str = "full_delta_"
    tuner_layer_cls = FullLayer

    def _wrapped(self, target: nn.Module, name: str) -> FullLayer | None:
        weights = dict(target.named_parameters(recurse=False))
        if not weights:
            return None  # The pattern that finds every module finds those without weights as well.
        _check(target, weights, name)
        return FullLayer(target, self._tied(weights))

    def _add(self, layer: FullLayer, adapter_name: str, config: FullConfig) -> None:
        layer.update_layer(adapter_name, getattr(torch, config.dtype))

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


def _check(module: nn.Module, weights: dict[str, nn.Parameter], name: str) -> None:
    plain = set(weights) <= {"weight", "bias"} and not any(True for _ in module.children())
    if not plain or not all(weight.is_floating_point() for weight in weights.values()):
        raise ValueError(
            f"{name} is a {type(module).__name__}, whose weights cannot be trained one by one; "
            "leave it out by exclude_modules, or choose a base that is not quantised."
        )
