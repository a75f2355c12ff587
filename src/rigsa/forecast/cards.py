"""Graphics cards, by the figures of their vendor's data sheets."""

from dataclasses import dataclass

from rigsa.errors import ConfigError
from rigsa.validation import one_of, shown

GIB = 2**30
CPU = "cpu"


@dataclass(frozen=True)
class Card:
    """What a device can do at most.

    Args:
        memory: bytes that programs can use.
        flops: dense matrix rate in bfloat16 with sums in float32, operations a second.
        bandwidth: of the device's own memory, bytes a second.
    """

    name: str
    memory: int
    flops: float
    bandwidth: float

    @property
    def is_cpu(self) -> bool:
        return self.name == CPU


# GiB, TFLOP/s without sparsity, GB/s. NVIDIA's architecture white papers for the GeForce cards
# (GA102, AD102, Blackwell) and data sheets of A10G, L4, L40S, A100 (SXM), H100 (SXM), H200, B200.
_DATA_SHEETS = {
    "rtx3090": (24, 71, 936),
    "rtx4090": (24, 165, 1008),
    "rtx5090": (32, 209, 1792),
    "a10g": (24, 70, 600),
    "l4": (24, 121, 300),
    "l40s": (48, 362, 864),
    "a100-40": (40, 312, 1555),
    "a100-80": (80, 312, 2039),
    "h100": (80, 989, 3350),
    "h200": (140, 989, 4800),
    "b200": (179, 2250, 8000),
}
CARDS = {
    name: Card(name, gib * GIB, teraflops * 1e12, gigabytes * 1e9)
    for name, (gib, teraflops, gigabytes) in _DATA_SHEETS.items()
}


def card(name: str, key: str) -> Card:
    """Raises ConfigError, with all names, where the card that `key` names is not in the table."""
    if name not in CARDS:
        raise ConfigError(f"{key} is {shown(name)}; {one_of(name, CARDS)}")
    return CARDS[name]
