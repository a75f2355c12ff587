"""Bytes of activations that a Llama keeps for backward, as transformers and torch save them."""

from rigsa.forecast.adapters import FLOAT32
from rigsa.forecast.workload import Workload

# Logits, their float32 copy or log-softmax, and their gradient.
LOGIT_COPIES = 3


def kept_for_backward(work: Workload) -> int:
    """What waits for backward in all layers: with recomputation only each layer's input."""
    rows = work.micro_batch * work.tokens
    if work.recompute:
        return round(work.shape.layers * rows * work.shape.hidden * work.weight_bytes)
    return work.shape.layers * saved_in_layer(work)


def saved_in_layer(work: Workload) -> int:
    """Tensors that one decoder layer saves for backward.

    A norm saves its input in float32 (in float32 that is the layer's own input) and one number a
    token; adapted linear layers save their inputs; attention saves q, k, v, its output and a
    float32 a head; the activation its input; its product with `up` both factors.
    """
    shape, size = work.shape, work.weight_bytes
    norms = 2 * FLOAT32 * (shape.hidden + 1)
    adapted = work.adapter.saved_inputs(shape, size) + work.adapter.saved_by_norms(shape, size)
    attention = size * (2 * shape.queries + 2 * shape.keys) + FLOAT32 * shape.heads
    product = size * 3 * shape.intermediate
    each = norms + adapted + attention + product
    return round(work.micro_batch * work.tokens * each) + work.adapter.saved_once(size)


def layer_activations(work: Workload) -> int:
    """One layer at its turn in backward: all it saves, and gradients on their way through it.

    Two of the feed-forward block's width at a time: what the product saved is free by then.
    """
    in_flight = work.weight_bytes * (2 * work.shape.intermediate + 2 * work.shape.hidden)
    return saved_in_layer(work) + round(work.micro_batch * work.tokens * in_flight)


def logits_bytes(work: Workload) -> int:
    """Of the answer's position in every row; no other position has any."""
    return LOGIT_COPIES * FLOAT32 * work.micro_batch * work.shape.vocabulary
