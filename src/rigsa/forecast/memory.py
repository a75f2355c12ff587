"""Bytes on the device at the peak of a training, tensor by tensor; each count is one function.

The peak is in the backward pass: everything that lasts, and on top of it one layer's turn.
"""

from math import prod

from rigsa.errors import ConfigError
from rigsa.forecast.activations import kept_for_backward, layer_activations, logits_bytes
from rigsa.forecast.adapters import FLOAT32, Adapter
from rigsa.forecast.shape import ModelShape
from rigsa.forecast.workload import Workload
from rigsa.validation import one_of

# bitsandbytes: one absmax for each block of 64 weights; with double quantisation it is one byte,
# and 256 of them share one float32.
QUANTIZATION_BLOCK, SCALES_BLOCK = 64, 256
# Two states an element, in float32 or in 8 bits with one float32 for each block of 256; torchao's
# 4 bits have blocks of 128.
_EIGHT_BIT = 2 * (1 + FLOAT32 / 256)
_FOUR_BIT = 2 * (0.5 + FLOAT32 / 128)
LOW_BIT_STATES = {
    "adamw_bnb_8bit": _EIGHT_BIT,
    "adamw_8bit": _EIGHT_BIT,
    "paged_adamw_8bit": _EIGHT_BIT,
    "adamw_torch_8bit": _EIGHT_BIT,
    "adamw_torch_4bit": _FOUR_BIT,
}
FULL_STATES = ("adamw_torch", "adamw_torch_fused")
OPTIMIZERS = (*FULL_STATES, *LOW_BIT_STATES, "sgd")
# Of a base model in parts: the layer whose turn it is, and the next one, in its buffer for the
# journey and put together.
WHOLE_LAYERS = 3
# What is there all the time, by its name in `training_memory`.
LASTING = (
    "base weights",
    "adapter values",
    "places of the values",
    "gradients",
    "optimizer state",
    "gathered gradients",
)


def training_memory(work: Workload) -> dict[str, int]:
    """Bytes by what they are for; their sum is the peak, without what the device itself takes."""
    adapter = work.adapter
    return {
        "base weights": held_base_bytes(work),
        "adapter values": value_bytes(adapter),
        "places of the values": adapter.index_bytes,
        "gradients": value_bytes(adapter),
        "optimizer state": optimizer_bytes(work.optimizer, adapter),
        "gathered gradients": gathered_bytes(adapter),
        "one layer's turn": turn_bytes(work),
        "kept for backward": kept_for_backward(work),
        "one layer's activations": layer_activations(work) if work.recompute else 0,
        "logits": logits_bytes(work),
    }


def training_peak(work: Workload) -> int:
    """Of the backward pass, or of the optimizer's step where that needs more."""
    parts = training_memory(work)
    lasting = sum(parts[name] for name in LASTING)
    return max(sum(parts.values()), lasting + step_bytes(work))


def held_base_bytes(work: Workload) -> int:
    """The frozen base model, or a card's part of it, beside what is whole for its turn."""
    whole = base_bytes(work.shape, work.weight_bytes, work.four_bit, work.double_quant)
    if work.parts == 1:
        return whole
    layers = work.shape.linear_weights * work.weight_bytes
    turn = WHOLE_LAYERS * layers // work.shape.layers
    return whole - layers + min(layers, layers // work.parts + turn)


def base_bytes(
    shape: ModelShape, weight_bytes: int, four_bit: bool = False, double_quant: bool = False
) -> int:
    """The frozen base model; in 4-bit only its linear layers are."""
    linears = float(shape.linear_weights * weight_bytes)
    if four_bit:
        scales = (1 + FLOAT32 / SCALES_BLOCK) if double_quant else FLOAT32
        linears = shape.linear_weights * (0.5 + scales / QUANTIZATION_BLOCK)
    return round(linears) + shape.other_weights * weight_bytes


def value_bytes(adapter: Adapter) -> int:
    """Trained values; their gradients are as many. Gates are always float32."""
    return adapter.values * adapter.value_bytes + adapter.gates * FLOAT32


def gathered_bytes(adapter: Adapter) -> int:
    """float32 gradients of all weights, while a sparse delta looks where to move."""
    return FLOAT32 * adapter.adapted if adapter.gathers else 0


def candidate_bytes(adapter: Adapter) -> int:
    """What is kept of them from step to step: places, sums and squares, as many as values."""
    return 3 * FLOAT32 * adapter.values if adapter.gathers else 0


def optimizer_bytes(optimizer: str, adapter: Adapter) -> int:
    """State of all trained values. Raises ConfigError for an optimizer that is not in the table."""
    if optimizer == "sgd":
        return 0
    if optimizer in FULL_STATES:
        # Two moments of the parameter's type, and a float32 count of the steps a tensor.
        return 2 * value_bytes(adapter) + FLOAT32 * adapter.tensors
    if optimizer in LOW_BIT_STATES:
        return round(adapter.trainable * LOW_BIT_STATES[optimizer])
    raise ConfigError(
        f"training.optimizer is {optimizer!r}, whose state the forecast cannot count; "
        f"{one_of(optimizer, OPTIMIZERS)}"
    )


def step_bytes(work: Workload) -> int:
    """While the optimizer steps: adamw_torch updates all tensors at once, with a copy of each."""
    return value_bytes(work.adapter) if work.optimizer == "adamw_torch" else 0


def turn_bytes(work: Workload) -> int:
    """What the largest matrix needs for its turn: W0 + α·ΔW and its dense gradient, or its 4-bit
    weights unpacked."""
    adapted = work.adapter.matrices if work.adapter.mergeable else work.shape.layer_linears.values()
    largest = max(map(prod, (*adapted, *work.adapter.others)))
    if work.adapter.formed:
        return 2 * largest * work.weight_bytes
    return largest * work.weight_bytes if work.four_bit else 0
