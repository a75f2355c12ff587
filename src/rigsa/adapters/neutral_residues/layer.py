"""A feed-forward block with a gated adapter beside it."""

from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from rigsa.adapters.neutral_residues.config import NeutralResiduesConfig
from rigsa.initial_values import initial_values

Tensor = torch.Tensor


class NeutralResiduesLayer(nn.Module, BaseTunerLayer):
    """y = FFN(x) + g(x)·W_o(σ(W_g x) ⊙ W_i x), with σ = SiLU and g(x) = ReLU(v·x + b).

    For each adapter it holds `neutral_residues_in` W_i and `neutral_residues_gate` W_g, both
    (width, d), `neutral_residues_out` W_o (d, width), and of the block gate, which is one number a
    token, `neutral_residues_block` v (1, d) and `neutral_residues_bias` b (1,); all float32.
    """

    adapter_layer_names = (
        "neutral_residues_in",
        "neutral_residues_gate",
        "neutral_residues_out",
        "neutral_residues_block",
        "neutral_residues_bias",
    )

    def __init__(self, base_layer: nn.Module, name: str) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.module_name = name
        for part in self.adapter_layer_names:
            setattr(self, part, nn.ParameterDict({}))
        # Weights of the batch's tokens, (rows, tokens), while outputs are measured.
        self.measuring: Tensor | None = None
        self.measured: dict[str, Tensor] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    def update_layer(
        self, adapter_name: str, config: NeutralResiduesConfig, hidden: int, layers: int
    ) -> None:
        """Adds an adapter with its initial values.

        W_o is zero, so that the model starts as the base. What reads x has variance 1/(d·L) for L
        layers (arXiv 2410.02744). b is 1: a gate that is closed for all tokens learns nothing.
        """
        device = next(self.base_layer.parameters()).device

        def drawn(part: str, rows: int) -> nn.Parameter:
            name, scale = f"{self.module_name}.{part}", (hidden * layers) ** -0.5
            shape = (rows, hidden)
            values = initial_values("normal", config.seed, name, shape, scale, device=device)
            return nn.Parameter(values)

        self.neutral_residues_in[adapter_name] = drawn("in", config.width)
        self.neutral_residues_gate[adapter_name] = drawn("gate", config.width)
        self.neutral_residues_block[adapter_name] = drawn("block", 1)
        zero = torch.zeros((hidden, config.width), device=device)
        self.neutral_residues_out[adapter_name] = nn.Parameter(zero)
        self.neutral_residues_bias[adapter_name] = nn.Parameter(torch.ones(1, device=device))
        self.set_adapter(self.active_adapters)

    def residue(self, adapter_name: str, x: Tensor) -> Tensor:
        """What the adapter adds to the block's output, float32 (…, d)."""
        x = x.to(self.neutral_residues_in[adapter_name].dtype)
        inner = F.silu(F.linear(x, self.neutral_residues_gate[adapter_name]))
        inner = inner * F.linear(x, self.neutral_residues_in[adapter_name])
        block = self.neutral_residues_block[adapter_name], self.neutral_residues_bias[adapter_name]
        return F.relu(F.linear(x, *block)) * F.linear(
            inner, self.neutral_residues_out[adapter_name]
        )

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return result
        for name in self.active_adapters:
            if name not in self.neutral_residues_in:
                continue
            residue = self.residue(name, x)
            if self.measuring is not None:
                # Here and not later: recomputed activations must save the same again.
                self.measured[name] = (self.measuring * residue.abs().mean(dim=-1)).sum()
            result = result + residue.to(result.dtype)
        return result

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        return False
