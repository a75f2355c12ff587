"""A linear layer with gates over its rows and columns."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import nn

from rigsa.adapters.fine_gates.config import FineGatesConfig
from rigsa.initial_values import initial_values

Tensor = torch.Tensor

# Of the gates' initial logits (jsvir/FineGates 5ab6421, model.py, as all below).
LOGIT_MEAN, LOGIT_SCALE = 1.0, 0.1
# Gates are clamp(μ + CENTRE); the penalty takes the noise to be wider than what is drawn.
CENTRE, PENALTY_SCALE = 0.5, 0.5


def means(logits: Tensor) -> Tensor:
    """μ, from −1 to 1."""
    return torch.tanh(logits)


def open_gates(logits: Tensor, noise: float = 0.0) -> Tensor:
    """Gates from 0 to 1, with normal noise of this standard deviation."""
    centred = means(logits) + CENTRE
    if noise:
        centred = centred + noise * torch.randn_like(centred)
    return centred.clamp(0.0, 1.0)


def probability_open(logits: Tensor) -> Tensor:
    """Φ((μ + 0.5) / 0.5) of each gate."""
    return torch.special.ndtr((means(logits) + CENTRE) / PENALTY_SCALE)


class FineGatesLayer(nn.Module, BaseTunerLayer):
    """y = ω_r ⊙ ((W0 + s·B·A)(ω_c ⊙ x) + b): a closed row gives nothing, its bias included.

    For each adapter it holds logits of the gates, `fine_gates_rows` (out_features,) and
    `fine_gates_columns` (in_features,), and where there is a low-rank part `fine_gates_A`
    (r, in_features) and `fine_gates_B` (out_features, r); all float32. Several active adapters
    stand around one another.
    """

    adapter_layer_names = ("fine_gates_rows", "fine_gates_columns", "fine_gates_A", "fine_gates_B")

    def __init__(self, base_layer: nn.Linear, name: str) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.module_name = name
        self.in_features, self.out_features = base_layer.in_features, base_layer.out_features
        for part in self.adapter_layer_names:
            setattr(self, part, nn.ParameterDict({}))
        self.configs: dict[str, FineGatesConfig] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    def update_layer(self, adapter_name: str, config: FineGatesConfig) -> None:
        """Adds an adapter with its initial values: gates near open, B zero."""
        self.configs[adapter_name] = config
        device = self.get_base_layer().weight.device

        def drawn(init: str, part: str, shape: tuple[int, int], scale: float | None) -> Tensor:
            name = f"{self.module_name}.{part}"
            return initial_values(init, config.seed, name, shape, scale, device=device)

        for part, size in (("rows", self.out_features), ("columns", self.in_features)):
            logits = LOGIT_MEAN + drawn("normal", part, (1, size), LOGIT_SCALE)[0]
            getattr(self, f"fine_gates_{part}")[adapter_name] = nn.Parameter(logits)
        if config.r:
            a = drawn("uniform", "A", (config.r, self.in_features), None)
            b = torch.zeros((self.out_features, config.r), device=device)
            self.fine_gates_A[adapter_name] = nn.Parameter(a)
            self.fine_gates_B[adapter_name] = nn.Parameter(b)
        self.set_adapter(self.active_adapters)

    def _move_adapter_to_device_of_base_layer(
        self, adapter_name: str, device: torch.device | None = None
    ) -> None:
        """Nothing to do: everything is made where W0 is. PEFT's own would round to W0's dtype."""

    def gates(self, adapter_name: str, noise: float = 0.0) -> tuple[Tensor, Tensor]:
        """ω_r (out_features,) and ω_c (in_features,)."""
        rows, columns = self.fine_gates_rows[adapter_name], self.fine_gates_columns[adapter_name]
        return open_gates(rows, noise), open_gates(columns, noise)

    def low_rank(self, adapter_name: str, x: Tensor) -> Tensor:
        """s·B·A x, float32."""
        inner = F.linear(x.float(), self.fine_gates_A[adapter_name])
        return self.configs[adapter_name].scale * F.linear(inner, self.fine_gates_B[adapter_name])

    def shares_open(self, adapter_name: str) -> Tensor:
        """Mean probability to be open of the rows' gates and of the columns', (2,)."""
        parts = self.fine_gates_rows[adapter_name], self.fine_gates_columns[adapter_name]
        return torch.stack([probability_open(logits).mean() for logits in parts])

    @torch.no_grad()
    def training_statistics(self) -> dict[str, float]:
        """What training logs of this layer, for its first active adapter: shares of rows and of
        columns whose gate is 0 in evaluation, and of weights that stand in one of them."""
        rows, columns = ((gate > 0).float().mean() for gate in self.gates(self.active_adapters[0]))
        return {
            "closed_rows": 1 - rows.item(),
            "closed_columns": 1 - columns.item(),
            "closed_weights": 1 - (rows * columns).item(),
        }

    def trouble(self) -> str | None:
        """A sentence where nothing of the matrix is open any more."""
        if self.training_statistics()["closed_weights"] < 1:
            return None
        return "gates have closed all of it; lower adapter.target or the learning_rate"

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Folds the active adapters into W0: diag(ω_r) W diag(ω_c), gates as in evaluation."""
        base = self.get_base_layer()
        for adapter in check_adapters_to_merge(self, adapter_names):
            if adapter not in self.fine_gates_rows:
                continue
            if type(base) is not nn.Linear:
                raise ValueError(
                    f"{self.module_name} is a {type(base).__name__}, into which gates cannot be "
                    "folded; use the model with the adapter on it."
                )
            rows, columns = self.gates(adapter)
            folded = base.weight.float()
            if self.configs[adapter].r:
                scale = self.configs[adapter].scale
                folded = folded + scale * self.fine_gates_B[adapter] @ self.fine_gates_A[adapter]
            folded = (rows[:, None] * folded * columns).to(base.weight.dtype)
            if safe_merge and not torch.isfinite(folded).all():
                raise ValueError(f"Adapter {adapter} would make {self.module_name} not finite.")
            base.weight.data = folded
            if base.bias is not None:
                base.bias.data = (rows * base.bias).to(base.bias.dtype)
            self.merged_adapters.append(adapter)

    def unmerge(self) -> None:
        raise ValueError(
            f"What closed gates took out of {self.module_name} cannot be put back; load the base "
            "model again."
        )

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.disable_adapters and self.merged:
            self.unmerge()
        active = [name for name in self.active_adapters if name in self.fine_gates_rows]
        if self.disable_adapters or self.merged:
            active = []
        return self._gated(active, x, *args, **kwargs)

    def _gated(self, adapters: Sequence[str], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not adapters:
            return self.base_layer(x, *args, **kwargs)
        *inner, name = adapters
        config = self.configs[name]
        rows, columns = self.gates(name, config.noise if self.training else 0.0)
        gated = x * columns
        result = self._gated(inner, gated.to(x.dtype), *args, **kwargs)
        if config.r:
            result = result + self.low_rank(name, gated)
        return (result * rows).to(x.dtype)

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        return False
