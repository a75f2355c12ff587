"""Settings of full fine-tuning, as PEFT stores them in adapter_config.json."""

from dataclasses import dataclass, field
from typing import Literal

from peft.config import PeftConfig

PEFT_TYPE = "FULL"


@dataclass
class FullConfig(PeftConfig):
    """W = W0 + ΔW for every weight of the model, embeddings, norms and head as well.

    PEFT would save W0 of the embeddings beside ΔW; `save_pretrained(..., save_embedding_layers=
    False)` leaves it out.

    Args:
        target_modules: modules whose weights are free; the default takes all that have some.
        exclude_modules: module names or a regular expression to leave out.
        dtype: of ΔW, "float32" or "bfloat16". In bfloat16 an optimizer must round stochastically,
            or small steps are lost.
    """

    target_modules: list[str] | str | None = field(default=".*")
    exclude_modules: list[str] | str | None = field(default=None)
    dtype: Literal["float32", "bfloat16"] = field(default="float32")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype is {self.dtype!r}; it must be one of float32, bfloat16.")
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
