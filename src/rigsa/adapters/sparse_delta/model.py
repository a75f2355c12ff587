"""Puts sparse deltas on a model's linear layers, and reads them back from a saved adapter."""

from typing import Any, ClassVar

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from rigsa.adapters.sparse_delta.config import SparseDeltaConfig
from rigsa.adapters.sparse_delta.layer import SparseDeltaLayer
from rigsa.masks.scopes import SCOPES
from rigsa.masks.storage import pack_places


class SparseDeltaModel(BaseTuner):
    """The tuner behind `get_peft_model(model, SparseDeltaConfig(...))`."""

    prefix: str = "sparse_delta_"
    tuner_layer_cls = SparseDeltaLayer
    target_module_mapping: ClassVar[dict[str, Any]] = {}

    def _create_and_replace(
        self,
        peft_config: SparseDeltaConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **optional_kwargs: Any,
    ) -> None:
        layer = target
        if not isinstance(target, SparseDeltaLayer):
            if type(target) is not nn.Linear:
                raise ValueError(
                    f"{current_key} is a {type(target).__name__}; a sparse delta goes only on "
                    "torch.nn.Linear; choose other target_modules or a base that is not quantised."
                )
            layer = self.tuner_layer_cls(target, current_key)
            self._replace_module(parent, target_name, layer, target)
        gate = self._gate(peft_config, adapter_name, layer)
        layer.update_layer(adapter_name, peft_config, gate)
        if adapter_name not in self.active_adapter:
            layer.requires_grad_(False)

    def _gate(
        self, config: SparseDeltaConfig, adapter_name: str, layer: SparseDeltaLayer
    ) -> nn.Parameter | None:
        """A new gate, or the one that an earlier layer of the same group has."""
        if config.gate == "none":
            return None
        group = SCOPES[config.gate]
        for other in self.model.modules():
            if (
                isinstance(other, SparseDeltaLayer)
                and adapter_name in other.sparse_delta_gate
                and group(other.module_name) == group(layer.module_name)
            ):
                return other.sparse_delta_gate[adapter_name]
        gate = torch.full((1,), config.gate_init, device=layer.get_base_layer().weight.device)
        if config.rewound is not None:
            gate.copy_(config.rewound.gate(layer.module_name))
        return nn.Parameter(gate)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """Nothing to do: values have the configuration's dtype, gates are float32."""

    @classmethod
    def _get_adapter_state_dict(
        cls,
        model: nn.Module,
        config: SparseDeltaConfig,
        adapter_name: str,
        state_dict: dict[str, torch.Tensor],
        unwanted_adapter_names: list[str],
    ) -> dict[str, torch.Tensor]:
        """What is saved: values, gates, and masks as one bit a weight."""
        saved = super()._get_adapter_state_dict(
            model, config, adapter_name, state_dict, unwanted_adapter_names
        )
        for name, layer in model.named_modules():
            if isinstance(layer, SparseDeltaLayer) and adapter_name in layer.places:
                bits = pack_places(layer.places[adapter_name], layer.shape)
                saved[f"{name}.sparse_delta_mask.{adapter_name}"] = bits
        return saved

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls,
        model: nn.Module,
        config: SparseDeltaConfig,
        adapter_name: str,
        state_dict: dict[str, torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """Gives each layer the mask of the saved adapter first, so that its values have a place."""
        state_dict = dict(state_dict)
        for name, layer in model.named_modules():
            if isinstance(layer, SparseDeltaLayer):
                layer.set_bits(adapter_name, state_dict.pop(f"{name}.sparse_delta_mask", None))
        return super()._remap_adapter_state_dict_for_load(model, config, adapter_name, state_dict)
