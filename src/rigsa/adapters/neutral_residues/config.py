"""Settings of neutral residues, as PEFT stores them in adapter_config.json."""

from dataclasses import dataclass, field

from peft.config import PeftConfig

from rigsa.adapters.residue_width import SHARE

PEFT_TYPE = "NEUTRAL_RESIDUES"


@dataclass
class NeutralResiduesConfig(PeftConfig):
    """y = FFN(x) + g(x)·W_o(σ(W_g x) ⊙ W_i x) (Neutral Residues, arXiv 2410.02744).

    Args:
        target_modules: the feed-forward blocks; the default finds a Llama's `mlp`.
        exclude_modules: module names or a regular expression to leave out.
        width: rows of W_g and W_i; None follows from `share` and the base model's shape.
        share: parameters to add, as a share of the base model's.
        coefficient: of the penalty on what the adapters give out on original-domain text.
        seed: with a module's name it decides that module's initial values, on any machine.
    """

    target_modules: list[str] | str | None = field(default=r".*\.mlp")
    exclude_modules: list[str] | str | None = field(default=None)
    width: int | None = field(default=None)
    share: float = field(default=SHARE)
    coefficient: float = field(default=0.01)
    seed: int = field(default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        if self.width is not None and self.width < 1:
            raise ValueError(f"width is {self.width}; it must be at least 1.")
        if self.share <= 0:
            raise ValueError(f"share is {self.share}; it must be greater than 0.")
        if self.coefficient < 0:
            raise ValueError(f"coefficient is {self.coefficient}; it must be at least 0.")
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
