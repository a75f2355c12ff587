"""A linear layer with a low-rank and a sparse part beside its frozen weight."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rigsa.adapters.rosa.config import RosaConfig
from rigsa.adapters.sparse_delta.layer import SparseDeltaLayer
from rigsa.initial_values import initial_values

Tensor = torch.Tensor


class RosaLayer(SparseDeltaLayer):
    """y = x·(W0 + ΔW)ᵀ + s·dropout(x)·Aᵀ·Bᵀ + b.

    For each adapter it holds, beside what a sparse delta holds, `rosa_A` (r, in_features) and
    `rosa_B` (out_features, r), both float32.
    """

    adapter_layer_names = (*SparseDeltaLayer.adapter_layer_names, "rosa_A", "rosa_B")

    def __init__(self, base_layer: nn.Linear, name: str) -> None:
        super().__init__(base_layer, name)
        self.rosa_A = nn.ParameterDict({})
        self.rosa_B = nn.ParameterDict({})

    def update_layer(
        self, adapter_name: str, config: RosaConfig, gate: nn.Parameter | None
    ) -> None:
        """Adds an adapter with its initial values: B = 0, and A as LoRA has it (arXiv 2106.09685,
        whose program draws it uniformly in ±1/sqrt(in_features))."""
        device = self.get_base_layer().weight.device
        name, shape = f"{self.module_name}.lora_A", (config.r, self.in_features)
        drawn = initial_values("uniform", config.seed, name, shape, device=device)
        self.rosa_A[adapter_name] = nn.Parameter(drawn)
        zero = torch.zeros((self.out_features, config.r), device=device)
        self.rosa_B[adapter_name] = nn.Parameter(zero)
        super().update_layer(adapter_name, config, gate)

    def low_rank_weight(self, adapter_name: str) -> Tensor:
        """s·B·A as a dense matrix (out_features, in_features), float32."""
        product = self.rosa_B[adapter_name] @ self.rosa_A[adapter_name]
        return self.configs[adapter_name].scaling * product

    def merged_weight(self, weight: Tensor, adapter_name: str) -> Tensor:
        """W0 with both parts in it, rounded once."""
        wide = weight + self.low_rank_weight(adapter_name)
        return super().merged_weight(wide, adapter_name).to(weight.dtype)

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """Both parts as a dense matrix (out_features, in_features)."""
        return super().get_delta_weight(adapter_name) + self.low_rank_weight(adapter_name)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sparse = result = super().forward(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return sparse
        for name in self.active_adapters:
            if name in self.rosa_A:
                result = result + self._low_rank(name, x)
        return result.to(sparse.dtype)

    def _low_rank(self, adapter_name: str, x: Tensor) -> Tensor:
        config, a = self.configs[adapter_name], self.rosa_A[adapter_name]
        x = F.dropout(x.to(a.dtype), config.lora_dropout, self.training)
        return F.linear(F.linear(x, a), self.rosa_B[adapter_name]) * config.scaling
