"""Settings of a sparse delta, as PEFT stores them in adapter_config.json."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from peft.config import PeftConfig

from rigsa.masks.storage import Mask
from rigsa.masks.values import TrainedValues

PEFT_TYPE = "SPARSE_DELTA"
GATE_INIT = 1e-6


@dataclass
class SparseDeltaConfig(PeftConfig):
    """W = W0 + α·ΔW on linear layers (RIGSA, arXiv 2511.01794, section 3).

    Args:
        target_modules: module names, a regular expression, or "all-linear" (all but the head).
        exclude_modules: module names or a regular expression to leave out.
        init: distribution of ΔW's initial values: "uniform" in ±init_scale, "normal" with standard
            deviation init_scale, or "zero".
        init_scale: None stands for 1/sqrt(in_features).
        gate: one ReZero gate α per "matrix", per "layer" of the model, one "global", or "none".
        gate_init: initial value of α.
        dtype: of ΔW's values, "float32" or "bfloat16". In bfloat16 an optimizer must round
            stochastically, or small steps are lost (RIGSA trains at a relative 0.2 % a step).
        seed: with a module's name it decides that module's initial values, on any machine.
        mask: which weights are free; None leaves all of them free. Not part of the saved
            configuration: the saved weights carry it.
        rewound: dense values and gates to begin with, in the place of drawn ones. Not saved either.
    """

    target_modules: list[str] | str | None = field(default="all-linear")
    exclude_modules: list[str] | str | None = field(default=None)
    init: Literal["uniform", "normal", "zero"] = field(default="uniform")
    init_scale: float | None = field(default=None)
    gate: Literal["matrix", "layer", "global", "none"] = field(default="matrix")
    gate_init: float = field(default=GATE_INIT)
    dtype: Literal["float32", "bfloat16"] = field(default="float32")
    seed: int = field(default=0)
    mask: Mask | None = field(default=None, repr=False)
    rewound: TrainedValues | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        for name, known in (
            ("init", ("uniform", "normal", "zero")),
            ("gate", ("matrix", "layer", "global", "none")),
            ("dtype", ("float32", "bfloat16")),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}.")
        if self.init_scale is not None and self.init_scale <= 0:
            raise ValueError(f"init_scale is {self.init_scale}; it must be greater than 0.")
        if self.init == "zero" and self.gate != "none" and self.gate_init == 0:
            raise ValueError("init zero with gate_init 0 has no gradient; set one of the two.")
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)

    def to_dict(self) -> dict[str, Any]:
        kept = (f.name for f in fields(self) if f.name not in ("mask", "rewound"))
        return {name: getattr(self, name) for name in kept}
