"""How fast a device really is: shares of a card's peak, or rates measured here on a CPU."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rigsa.forecast.cards import CPU, Card
from rigsa.forecast.shape import ModelShape

# Share of the peak matrix rate that training reaches in bfloat16 without compiling.
TRAINING_SHARE = 0.5
# Of that, evaluation reaches four fifths: rows are padded, and lm-eval works between passes.
EVALUATION_PART = 0.8
# Streaming kernels reach about this share of the memory's bandwidth.
BANDWIDTH_SHARE = 0.8
# What eager PyTorch needs to start an operation, whatever its size.
OPERATION_SECONDS = 15e-6
# Products of the model's own width reach this on a CPU; norms, softmax and copies take the rest.
CPU_SHARE = 0.7
# A core of a node that nobody has measured: what one reaches without AVX-512, in float32.
CORE_FLOPS, CORE_BANDWIDTH = 20e9, 5e9
# Interpreter, libraries, tokenizer.
START_SECONDS = 12.0
READ_BYTES_PER_SECOND = 1e9


@dataclass(frozen=True)
class Speed:
    """Rates that jobs reach on a device.

    Args:
        training, evaluation: matrix products, operations a second.
        bandwidth: bytes a second through the device's memory.
        hides_starts: operations are started while earlier ones run, as on a GPU.
    """

    training: float
    evaluation: float
    bandwidth: float
    hides_starts: bool

    def seconds(self, flops: float, moved: float, started: float, rate: float) -> float:
        """Of a pass: its arithmetic at `rate`, the bytes it moves, the operations it starts."""
        work = flops / rate + moved / self.bandwidth
        starts = started * OPERATION_SECONDS
        return max(work, starts) if self.hides_starts else work + starts


def card_speed(card: Card) -> Speed:
    return Speed(
        TRAINING_SHARE * card.flops,
        EVALUATION_PART * TRAINING_SHARE * card.flops,
        BANDWIDTH_SHARE * card.bandwidth,
        hides_starts=True,
    )


def cpu_card(
    shape: ModelShape, rows: int, threads: int, flops: float | None, bandwidth: float | None
) -> Card:
    """This machine as a card; rates that are not given are measured in about a second.

    Args:
        rows: tokens in one pass: products are measured at the shape that the model will use.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if flops is None or bandwidth is None:
        measured = _measure(shape, rows, threads)
        flops, bandwidth = flops or measured[0], bandwidth or measured[1]
    return Card(CPU, memory, flops, bandwidth)


def cpu_speed(card: Card) -> Speed:
    rate = CPU_SHARE * card.flops
    return Speed(rate, EVALUATION_PART * rate, card.bandwidth, hides_starts=False)


def _measure(shape: ModelShape, rows: int, threads: int) -> tuple[float, float]:
    """float32 operations a second in the largest of a layer's products, and bytes a second."""
    import torch

    torch.set_num_threads(threads)
    x = torch.randn(rows, shape.hidden)
    weight = torch.randn(shape.intermediate, shape.hidden)
    long = torch.randn(2**23)
    product = _seconds(lambda: x @ weight.t())
    # Into memory that is there already, as the allocator's is after the first step.
    place = torch.empty_like(long)
    copy = _seconds(lambda: place.copy_(long))
    return 2 * rows * weight.numel() / product, 2 * 4 * long.numel() / copy


def _seconds(work: Callable[[], object]) -> float:
    """Median of at least five runs and a quarter of a second, after one to warm up."""
    work()
    taken: list[float] = []
    while len(taken) < 5 or sum(taken) < 0.25:
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)
