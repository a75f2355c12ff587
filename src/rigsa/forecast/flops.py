"""Floating-point operations, bytes through the memory, and started operations of a pass."""

from rigsa.forecast.adapters import Adapter
from rigsa.forecast.shape import ModelShape
from rigsa.forecast.workload import Workload

# What transformers' eager code starts in a decoder layer, and 4-bit storage before each matrix
# (scales and weights unpacked).
LAYER_STARTS, UNPACKING_STARTS = 60, 2
# Causal attention needs half of the score matrix.
CAUSAL = 0.5


def forward_flops(shape: ModelShape, tokens: float, heads_at: float = 1) -> float:
    """One row of `tokens` through the model, with the head at `heads_at` positions of it."""
    linears = 2 * shape.linear_weights * tokens
    attention = CAUSAL * 4 * tokens**2 * shape.queries * shape.layers
    return linears + attention + 2 * shape.vocabulary * shape.hidden * heads_at


def training_flops(work: Workload) -> float:
    """One row forward and backward.

    Backward to the activations costs what forward does (attention twice that); gradients of a
    sparse delta are formed dense and gathered, so they cost a forward pass as well; recomputation
    is one more forward pass.
    """
    forward = forward_flops(work.shape, work.tokens)
    attention = CAUSAL * 4 * work.tokens**2 * work.shape.queries * work.shape.layers
    passes = 3 if work.recompute else 2
    return passes * forward + attention + adapter_flops(work.adapter, work.recompute) * work.tokens


def adapter_flops(adapter: Adapter, recompute: bool) -> float:
    """Operations a token for the adapter's own gradients, and for products beside the model's."""
    formed = 2 * adapter.adapted * (1 + adapter.gathers) if adapter.formed else 0
    beside = adapter.beside_values + (0 if adapter.formed else adapter.gates)
    return formed + (8 if recompute else 6) * beside


def forward_starts(shape: ModelShape, adapter: Adapter | None, four_bit: bool) -> int:
    """Operations that a forward pass starts; `adapter` is None where it is merged."""
    layer = LAYER_STARTS + (UNPACKING_STARTS * len(shape.layer_linears) if four_bit else 0)
    if adapter is not None:
        layer += adapter.starts
    return shape.layers * layer


def pass_bytes(work: Workload) -> float:
    """Through the memory for one micro-batch beside the matrix products' own operands.

    For each time that a weight is used it is written (and before that read) anew: W0 + α·ΔW, or
    unpacked from 4-bit; the dense gradient is written and read.
    """
    adapter, size = work.adapter, work.weight_bytes
    times = 3 if work.recompute else 2
    each = gradient = 0.0
    if adapter.formed:
        values = adapter.formed_values * adapter.value_bytes
        each = adapter.adapted * (3 * size) + values
        gradient = 2 * adapter.adapted * size + 3 * values
    if adapter.beside_values or not adapter.formed:
        each += work.micro_batch * work.tokens * output_bytes(adapter, size)
    if work.four_bit:
        each += unpacking_bytes(work.shape, size)
    return times * each + gradient


def output_bytes(adapter: Adapter, size: int) -> float:
    """A token's outputs of the adapter's matrices: written, scaled or gated, and added; and their
    inputs, where these are gated."""
    return 6 * size * adapter.scaled


def unpacking_bytes(shape: ModelShape, weight_bytes: int) -> float:
    """Reading 4-bit weights, writing them unpacked, and reading them for the product."""
    return shape.linear_weights * (0.5 + 2 * weight_bytes)


def optimizer_step_bytes(work: Workload, state: int) -> float:
    """Clipping reads the gradients; the update reads and writes values and state; then zeroes."""
    values = work.adapter.values * work.adapter.value_bytes
    return 5 * values + 2 * state


def generation_bytes(shape: ModelShape, rows: int, tokens: float, weight_bytes: int) -> float:
    """Through the memory for one new token of each of `rows`: all weights, and the keys and values
    of the `tokens` before it."""
    cache = 2 * shape.layers * shape.keys * tokens * rows * weight_bytes
    return shape.weights * weight_bytes + cache


def embedding_training_flops(shape: ModelShape, tokens: float) -> float:
    """Training every weight of a model from scratch, a token at a time: 6 a weight."""
    return 6 * (shape.linear_weights + shape.vocabulary * shape.hidden) * tokens
