"""Settings of RoSA, as PEFT stores them in adapter_config.json."""

import math
from dataclasses import dataclass, field
from typing import Literal

from rigsa.adapters.sparse_delta.config import SparseDeltaConfig

PEFT_TYPE = "ROSA"


@dataclass
class RosaConfig(SparseDeltaConfig):
    """W = W0 + (lora_alpha/r)·B·A + ΔW on linear layers (RoSA, arXiv 2401.04679).

    What is said of ΔW is a sparse delta's, which here begins at zero and has no gate. Defaults of
    the low-rank part are those of PEFT's LoRA.

    Args:
        r: rank of B·A.
        lora_alpha: its scale, times r.
        lora_dropout: share of A's inputs that a training leaves out; ΔW sees all of them.
        use_rslora: the scale is lora_alpha/sqrt(r) (arXiv 2312.03732).
    """

    init: Literal["uniform", "normal", "zero"] = field(default="zero")
    gate: Literal["matrix", "layer", "global", "none"] = field(default="none")
    r: int = field(default=8)
    lora_alpha: float = field(default=8)
    lora_dropout: float = field(default=0.0)
    use_rslora: bool = field(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        if self.r < 1:
            raise ValueError(f"r is {self.r}; it must be at least 1.")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(
                f"lora_dropout is {self.lora_dropout}; it must be at least 0 and less than 1."
            )

    @property
    def scaling(self) -> float:
        """What B·A is multiplied with."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)
