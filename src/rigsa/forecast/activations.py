"""Bytes of activations that a Llama keeps for backward, as transformers and torch save them."""

from rigsa.forecast.workload import FLOAT32, Adapter, Workload

# Logits, their float32 copy or log-softmax, and their gradient.
LOGIT_COPIES = 3
INT64 = 8


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
    linear_inputs = size * (2 * shape.hidden + shape.intermediate)
    if work.adapter.low_rank:
        linear_inputs = low_rank_inputs(work, linear_inputs)
    if work.adapter.kind == "neutral_residues":
        linear_inputs = residue_inputs(work)
    if work.adapter.kind == "fine_gates":
        linear_inputs += gate_inputs(work)
    if work.adapter.kind == "full":
        norms += 2 * size * shape.hidden  # What its factors are multiplied with.
    attention = size * (2 * shape.queries + 2 * shape.keys) + FLOAT32 * shape.heads
    product = size * 3 * shape.intermediate
    each = norms + linear_inputs + attention + product
    saved = round(work.micro_batch * work.tokens * each)
    return saved + formed_weights(work) + formed_gates(work.adapter)


def formed_weights(work: Workload) -> int:
    """Of one layer: PEFT's SHiRA keeps W0 + ΔW until backward, where a sparse delta forms it anew;
    and ΔW, in int64 rows and columns with a copy of the values."""
    adapter = work.adapter
    if adapter.kind != "shira":
        return 0
    delta = adapter.values * (2 * INT64 + FLOAT32)
    return (adapter.adapted * work.weight_bytes + delta) // adapter.layers


def formed_gates(adapter: Adapter) -> int:
    """Of one layer's gates over rows and columns: tanh of the logits, that with its noise, and the
    gates."""
    return 3 * FLOAT32 * adapter.sides // adapter.layers if adapter.kind == "fine_gates" else 0


def gate_inputs(work: Workload) -> int:
    """Bytes a token: what each matrix gives out before its rows' gates; with a low-rank part that
    is float32, and A's input and output are kept as well."""
    adapter = work.adapter
    rows = adapter.rows // adapter.layers
    if not adapter.rank:
        return work.weight_bytes * rows
    return FLOAT32 * (adapter.sides // adapter.layers + adapter.rank * len(adapter.matrices))


def low_rank_inputs(work: Workload, inputs: int) -> int:
    """Bytes a token: each matrix's input is turned into the adapter's own float32, where the
    model's type is another, and ΔW needs it as it was; each keeps what A made of it for B."""
    adapter = work.adapter
    if work.weight_bytes != FLOAT32:
        turned = FLOAT32 * sum(columns for _, columns in adapter.matrices)
        inputs = turned + (inputs if adapter.formed else 0)
    return inputs + FLOAT32 * adapter.rank * len(adapter.matrices)


def residue_inputs(work: Workload) -> int:
    """Bytes a token, in float32: the block's input and W_o's output; of the width, what goes into
    the activation and comes out, the other factor, and their product; the block gate.

    The base model's own linear layers, which nothing adapts, save none.
    """
    width = work.adapter.matrices[0][0]
    return FLOAT32 * (2 * work.shape.hidden + 4 * width + 1)


def layer_activations(work: Workload) -> int:
    """One layer at its turn in backward: all it saves, and gradients on their way through it.

    Two of the feed-forward block's width at a time: what the product saved is free by then.
    """
    in_flight = work.weight_bytes * (2 * work.shape.intermediate + 2 * work.shape.hidden)
    return saved_in_layer(work) + round(work.micro_batch * work.tokens * in_flight)


def logits_bytes(work: Workload) -> int:
    """Of the answer's position in every row; no other position has any."""
    return LOGIT_COPIES * FLOAT32 * work.micro_batch * work.shape.vocabulary
