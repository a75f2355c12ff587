"""Settings of SpIEL, as PEFT stores them in adapter_config.json."""

from dataclasses import dataclass, field
from typing import Literal

from rigsa.adapters.reselection import EVERY, GATHER, SHARE
from rigsa.adapters.sparse_delta.config import SparseDeltaConfig

PEFT_TYPE = "SPIEL"


@dataclass
class SpielConfig(SparseDeltaConfig):
    """W = W0 + ΔW with a sparse ΔW whose places move (SpIEL-AG, arXiv 2401.16405, section 3).

    Args:
        every: steps from one move to the next.
        gather: steps whose gradients are summed before each move.
        share: of the places that may move, but for the first move, in which all may; it falls to 0.
        init: "zero", as new places begin.
        gate: "none".
    """

    every: int = field(default=EVERY)
    gather: int = field(default=GATHER)
    share: float = field(default=SHARE)
    init: Literal["zero"] = field(default="zero")
    gate: Literal["none"] = field(default="none")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        for name, only in (("init", "zero"), ("gate", "none")):
            if getattr(self, name) != only:
                raise ValueError(f"{name} is {getattr(self, name)!r}; in SpIEL it is {only!r}.")
        if not 1 <= self.gather <= self.every:
            raise ValueError(
                f"gather is {self.gather}; it must be at least 1 and at most every, {self.every}."
            )
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}; it must be at least 0 and at most 1.")
