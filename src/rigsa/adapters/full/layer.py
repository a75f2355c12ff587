"""A module with a delta on each of its own weights."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import nn
from torch.func import functional_call

from rigsa.adapters.sparse_delta.function import SparseDeltaLinear, effective_weight


class FullLayer(nn.Module, BaseTunerLayer):
    """The base layer with W0 + ΔW in the place of W0; ΔW is zero at the start.

    For each adapter it holds `full_delta_weight` and `full_delta_bias`, of their weights' shapes.
    A weight that belongs to several layers has one ΔW, which the first of them holds.
    """

    adapter_layer_names = ("full_delta_weight", "full_delta_bias")

    def __init__(self, base_layer: nn.Module, tied: dict[str, tuple["FullLayer", str]]) -> None:
        """`tied` has the layer that holds ΔW of a weight, and the weight's name there."""
        super().__init__()
        self.base_layer, self.tied = base_layer, tied
        self.full_delta_weight = nn.ParameterDict({})
        self.full_delta_bias = nn.ParameterDict({})
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    def update_layer(self, adapter_name: str, dtype: torch.dtype) -> None:
        """Adds an adapter, zero as yet."""
        for name, weight in self.own_weights():
            delta = nn.Parameter(torch.zeros_like(weight, dtype=dtype))
            getattr(self, f"full_delta_{name}")[adapter_name] = delta
        self.set_adapter(self.active_adapters)

    def own_weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights whose ΔW is held here."""
        found = self.base_layer.named_parameters(recurse=False)
        return ((name, weight) for name, weight in found if name not in self.tied)

    def delta(self, adapter_name: str, name: str) -> torch.Tensor | None:
        """ΔW of a weight, wherever it is held; None where the adapter has none."""
        layer, own = self.tied.get(name, (self, name))
        return getattr(layer, f"full_delta_{own}").get(adapter_name)

    def _move_adapter_to_device_of_base_layer(
        self, adapter_name: str, device: torch.device | None = None
    ) -> None:
        """Nothing to do: everything is made where W0 is. PEFT's own would round to W0's dtype."""

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Adds the active adapters' deltas into W0, once for layers that share it."""
        for adapter in check_adapters_to_merge(self, adapter_names):
            for name, weight in self.own_weights():
                delta = self.delta(adapter, name)
                if delta is None:
                    continue
                with torch.no_grad():
                    merged = effective_weight(weight.data, delta, None, None)
                if safe_merge and not torch.isfinite(merged).all():
                    raise ValueError(f"Adapter {adapter} would make a {name} not finite.")
                weight.data = merged
            self.merged_adapters.append(adapter)

    def unmerge(self) -> None:
        """Takes merged deltas out again, exact up to the rounding of the weight's dtype."""
        if not self.merged:
            warnings.warn("Already unmerged. Nothing to do.", stacklevel=2)
        while self.merged_adapters:
            adapter = self.merged_adapters.pop()
            for name, weight in self.own_weights():
                delta = self.delta(adapter, name)
                if delta is not None:
                    weight.data = (weight.data - delta.data).to(weight.dtype)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.disable_adapters and self.merged:
            self.unmerge()
        if self.disable_adapters or self.merged:
            return self.base_layer(x, *args, **kwargs)
        *before, last = self.active_adapters
        delta = self.delta(last, "weight")
        if type(self.base_layer) is nn.Linear and delta is not None:
            # It forms W0 + ΔW anew in backward, where autograd would keep one of every layer.
            weight = self._effective("weight", before)
            result = SparseDeltaLinear.apply(x.to(weight.dtype), weight, delta, None, None)
            bias = self._effective("bias", self.active_adapters)
            return result if bias is None else result + bias
        names = [name for name, _ in self.base_layer.named_parameters(recurse=False)]
        formed = {name: self._effective(name, self.active_adapters) for name in names}
        return functional_call(self.base_layer, formed, (x, *args), kwargs)

    def _effective(self, name: str, adapters: Sequence[str]) -> torch.Tensor | None:
        weight = getattr(self.base_layer, name)
        for adapter in adapters:
            delta = self.delta(adapter, name)
            if delta is not None:
                weight = effective_weight(weight, delta, None, None)
        return weight

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        return False
