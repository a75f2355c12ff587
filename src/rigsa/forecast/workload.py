"""One training as numbers: the model's shape, what is free in it, and how it is fed."""

from dataclasses import dataclass

from rigsa.forecast.adapters import Adapter
from rigsa.forecast.shape import ModelShape


@dataclass(frozen=True)
class Workload:
    """A training of `adapter` on a base model of `shape`.

    Args:
        weight_bytes: of one base weight and one activation: 4 for float32, 2 for bfloat16.
        four_bit: the base model's linear layers are stored in 4-bit.
        double_quant: their scales are quantised as well.
        parts: that the base model's layers are in, each on a card of its own.
        optimizer: its name in transformers.
        tokens: in one row.
        micro_batch: rows in one forward and backward pass.
        recompute: activations inside a decoder layer are computed again in backward.
    """

    shape: ModelShape
    adapter: Adapter
    weight_bytes: int
    optimizer: str
    tokens: float
    micro_batch: int
    recompute: bool
    four_bit: bool = False
    double_quant: bool = False
    parts: int = 1
