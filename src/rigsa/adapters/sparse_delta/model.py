"""Puts sparse deltas on a model's linear layers, and reads them back from a saved adapter."""

import torch
from torch import nn

from rigsa.adapters.sparse_delta.config import SparseDeltaConfig
from rigsa.adapters.sparse_delta.layer import SparseDeltaLayer
from rigsa.adapters.tuner import AdapterTuner
from rigsa.masks.scopes import SCOPES
from rigsa.masks.storage import pack_places


class SparseDeltaModel(AdapterTuner):
    """The tuner behind `get_peft_model(model, SparseDeltaConfig(...))`."""

    prefix: str = "sparse_delta_"
    tuner_layer_cls = SparseDeltaLayer

    def _wrapped(self, target: nn.Module, name: str) -> SparseDeltaLayer:
        if type(target) is not nn.Linear:
            raise ValueError(
                f"{name} is a {type(target).__name__}; a sparse delta goes only on "
                "torch.nn.Linear; choose other target_modules or a base that is not quantised."
            )
        return self.tuner_layer_cls(target, name)

    def _add(self, layer: SparseDeltaLayer, adapter_name: str, config: SparseDeltaConfig) -> None:
        layer.update_layer(adapter_name, config, self._gate(config, adapter_name, layer))

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
        device = layer.get_base_layer().weight.device
        gate = torch.full((1,), config.gate_init, dtype=torch.float32, device=device)
        if config.rewound is not None:
            gate.copy_(config.rewound.gate(layer.module_name))
        return nn.Parameter(gate)

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
