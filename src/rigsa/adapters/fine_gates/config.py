"""Settings of FineGates, as PEFT stores them in adapter_config.json."""

from dataclasses import dataclass, field

from peft.config import PeftConfig

PEFT_TYPE = "FINE_GATES"
# No gate's probability to be open falls below Φ(−1) = 0.16, so that no more than 0.84 can be asked.
MOST_CLOSED = 0.84


@dataclass
class FineGatesConfig(PeftConfig):
    """h = [ω_r · (W0 + B·A) · ω_c] x on linear layers (FineGates, arXiv 2412.12951, section 4).

    Args:
        target_modules: module names, a regular expression, or "all-linear" (all but the head).
        exclude_modules: module names or a regular expression to leave out.
        r: rank of B·A; 0 for none.
        lora_alpha: B·A is scaled by lora_alpha / r; None stands for r, as the authors have it.
        target: what 1 − the mean probability of a gate to be open is drawn to.
        coefficient: of the penalty, λ.
        noise: standard deviation of what is added to each gate while training.
        seed: with a module's name it decides that module's initial values, on any machine.
    """

    target_modules: list[str] | str | None = field(default="all-linear")
    exclude_modules: list[str] | str | None = field(default=None)
    r: int = field(default=0)
    lora_alpha: float | None = field(default=None)
    target: float = field(default=0.4)
    coefficient: float = field(default=50.0)
    noise: float = field(default=0.1)
    seed: int = field(default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        for name in ("r", "coefficient", "noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0.")
        if not 0 <= self.target < MOST_CLOSED:
            raise ValueError(
                f"target is {self.target}; it must be at least 0 and less than {MOST_CLOSED}."
            )
        if self.lora_alpha is not None and not self.r:
            raise ValueError(
                "lora_alpha scales a low-rank part, and r is 0; set r, or leave it out."
            )
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)

    @property
    def scale(self) -> float:
        """Of B·A."""
        return 1.0 if self.lora_alpha is None else self.lora_alpha / self.r
