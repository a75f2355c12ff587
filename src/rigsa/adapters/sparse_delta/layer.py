"""A linear layer with a sparse delta beside its frozen weight."""

import math
import warnings
from typing import Any

import torch
from peft.tuners._buffer_dict import BufferDict
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import nn

from rigsa.adapters.sparse_delta.config import SparseDeltaConfig
from rigsa.adapters.sparse_delta.function import SparseDeltaLinear, effective_weight
from rigsa.initial_values import initial_values, same_sign
from rigsa.masks.storage import kept_places
from rigsa.masks.values import TrainedValues


class SparseDeltaLayer(nn.Module, BaseTunerLayer):
    """y = x·(W0 + α·ΔW)ᵀ + b.

    For each adapter it holds `sparse_delta_values` (the dense matrix, or the kept values in
    row-major order), `sparse_delta_gate` (one element, absent without a gate) and, where there is a
    mask, the int32 `places` of the kept values. A saved adapter has `sparse_delta_mask` in their
    stead, one bit a weight: smaller above a density of 3 %, but ten times slower to compute with.
    """

    adapter_layer_names = ("sparse_delta_values", "sparse_delta_gate")
    other_param_names = ("places",)

    def __init__(self, base_layer: nn.Linear, name: str) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.module_name = name
        self.in_features, self.out_features = base_layer.in_features, base_layer.out_features
        self.sparse_delta_values = nn.ParameterDict({})
        self.sparse_delta_gate = nn.ParameterDict({})
        self.places = BufferDict({}, persistent=False)
        self.configs: dict[str, SparseDeltaConfig] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    @property
    def shape(self) -> tuple[int, int]:
        return self.out_features, self.in_features

    def update_layer(
        self, adapter_name: str, config: SparseDeltaConfig, gate: nn.Parameter | None
    ) -> None:
        """Adds an adapter with its initial values. `gate` may be shared with other layers."""
        self.configs[adapter_name] = config
        self.set_bits(adapter_name, config.mask and config.mask.bits[self.module_name])
        if gate is not None:
            self.sparse_delta_gate[adapter_name] = gate
        self.set_adapter(self.active_adapters)

    def _move_adapter_to_device_of_base_layer(
        self, adapter_name: str, device: torch.device | None = None
    ) -> None:
        """Nothing to do: everything is made where W0 is. PEFT's own would round to W0's dtype."""

    def set_bits(self, adapter_name: str, bits: torch.Tensor | None) -> None:
        """Gives the adapter a mask in packed bits, or none, and its initial values there."""
        device = self.get_base_layer().weight.device
        if adapter_name in self.places:
            del self.places[adapter_name]
        if bits is not None:
            places = kept_places(bits, self.shape)
            self.places[adapter_name] = places.to(device=device, dtype=torch.int32)
        dtype = getattr(torch, self.configs[adapter_name].dtype)
        values = nn.Parameter(self.initial_values(adapter_name).to(dtype))
        self.sparse_delta_values[adapter_name] = values

    def initial_values(self, adapter_name: str) -> torch.Tensor:
        """What this adapter begins with at its places: by its seed, or what it is rewound to."""
        config = self.configs[adapter_name]
        if config.rewound is not None:
            return self._rewound(adapter_name, config.rewound)
        return initial_values(
            config.init,
            config.seed,
            self.module_name,
            self.shape,
            config.init_scale,
            self.places_of(adapter_name),
            self.get_base_layer().weight.device,
        )

    def _rewound(self, adapter_name: str, rewound: TrainedValues) -> torch.Tensor:
        values = rewound.values(self.module_name, math.prod(self.shape))
        places = self.places_of(adapter_name)
        values = values.view(self.shape) if places is None else values[places.cpu()]
        # A copy, as they may be the file's own memory.
        return values.to(self.get_base_layer().weight.device, torch.float32, copy=True)

    def places_of(self, adapter_name: str) -> torch.Tensor | None:
        # BufferDict has no get().
        return self.places[adapter_name] if adapter_name in self.places else None  # noqa: SIM401

    def gate_of(self, adapter_name: str) -> torch.Tensor | None:
        return self.sparse_delta_gate.get(adapter_name)

    def parts(
        self, adapter_name: str
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Values, gate and places of an adapter."""
        values = self.sparse_delta_values[adapter_name]
        return values, self.gate_of(adapter_name), self.places_of(adapter_name)

    def merged_weight(self, weight: torch.Tensor, adapter_name: str) -> torch.Tensor:
        """W0 with the adapter in it, in W0's dtype."""
        return effective_weight(weight, *self.parts(adapter_name))

    def get_delta_weight(self, adapter_name: str) -> torch.Tensor:
        """α·ΔW as a dense matrix (out_features, in_features)."""
        values = self.sparse_delta_values[adapter_name]
        zero = torch.zeros(self.shape, device=values.device)
        return effective_weight(zero, *self.parts(adapter_name))

    @torch.no_grad()
    def training_statistics(self) -> dict[str, float | None]:
        """What training logs of this layer, for its first active adapter.

        "density" is the share of free weights, "sign_kept" the share of those whose sign is still
        that of the initial value (None where they began at zero, and where a mask over several
        matrices left this one no weight), "gate" is α (None without one).
        """
        name = self.active_adapters[0]
        values, gate, _ = self.parts(name)
        kept = None
        if self.configs[name].init != "zero" and values.numel():
            kept = same_sign(self.initial_values(name), values).float().mean().item()
        return {
            "density": values.numel() / (self.in_features * self.out_features),
            "sign_kept": kept,
            "gate": None if gate is None else gate.item(),
        }

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Adds the active adapters' deltas into W0."""
        weight = self.get_base_layer().weight
        for adapter in check_adapters_to_merge(self, adapter_names):
            if adapter not in self.sparse_delta_values:
                continue
            with torch.no_grad():
                merged = self.merged_weight(weight.data, adapter)
            if safe_merge and not torch.isfinite(merged).all():
                raise ValueError(f"Adapter {adapter} would make {self.module_name} not finite.")
            weight.data = merged
            self.merged_adapters.append(adapter)

    def unmerge(self) -> None:
        """Takes merged deltas out again, exact up to the rounding of the weight's dtype."""
        if not self.merged:
            warnings.warn("Already unmerged. Nothing to do.", stacklevel=2)
        weight = self.get_base_layer().weight
        while self.merged_adapters:
            adapter = self.merged_adapters.pop()
            weight.data = (weight.data - self.get_delta_weight(adapter)).to(weight.dtype)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.disable_adapters and self.merged:
            self.unmerge()
        active = [name for name in self.active_adapters if name in self.sparse_delta_values]
        if self.disable_adapters or self.merged or not active:
            return self.base_layer(x, *args, **kwargs)
        weight = self.get_base_layer().weight
        for name in active[:-1]:
            weight = effective_weight(weight, *self.parts(name))
        result = SparseDeltaLinear.apply(x.to(weight.dtype), weight, *self.parts(active[-1]))
        bias = self.get_base_layer().bias
        return result if bias is None else result + bias

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        return False
