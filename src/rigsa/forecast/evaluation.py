"""What asking a checkpoint one benchmark takes: passes over prompts, and new tokens one by one."""

from dataclasses import dataclass
from math import ceil

from rigsa.forecast.adapters import FLOAT32, Adapter
from rigsa.forecast.flops import (
    forward_flops,
    forward_starts,
    generation_bytes,
    output_bytes,
    unpacking_bytes,
)
from rigsa.forecast.memory import base_bytes, value_bytes
from rigsa.forecast.shape import ModelShape
from rigsa.forecast.sizes import TaskSize
from rigsa.forecast.speed import Speed
from rigsa.study import Benchmark

# lm-eval keeps logits of all positions and their log-softmax.
LOGIT_COPIES = 2


@dataclass(frozen=True)
class Asking:
    """A benchmark asked of a base model with an adapter."""

    shape: ModelShape
    adapter: Adapter | None
    size: TaskSize
    benchmark: Benchmark
    batch: int
    weight_bytes: int
    four_bit: bool
    double_quant: bool

    @property
    def tokens(self) -> float:
        """In one row of a batch, before anything is generated."""
        prompt = self.size.asked(self.benchmark)[1]
        return prompt + (self.size.answer if self.size.choices else 0)

    @property
    def unmerged(self) -> Adapter | None:
        """The adapter where it stays beside the weights: on a 4-bit base, or by its kind."""
        beside = self.adapter is not None and (self.four_bit or not self.adapter.mergeable)
        return self.adapter if beside else None

    @property
    def rows(self) -> int:
        return self.size.asked(self.benchmark)[0] * max(1, self.size.choices)


def evaluation_seconds(asking: Asking, speed: Speed) -> float:
    """Of all items, the job's start left out."""
    shape, tokens, batch = asking.shape, asking.tokens, min(asking.batch, asking.rows)
    batches = ceil(asking.rows / batch)
    unpacked = unpacking_bytes(shape, asking.weight_bytes) if asking.four_bit else 0
    positions = tokens if asking.size.choices else 1
    logits = LOGIT_COPIES * batch * positions * shape.vocabulary * asking.weight_bytes
    unmerged = asking.unmerged
    added = 0 if unmerged is None else 2 * unmerged.values
    starts = forward_starts(shape, unmerged, asking.four_bit)
    flops = batch * (forward_flops(shape, tokens, positions) + added * tokens)
    moved = logits + unpacked
    if unmerged is not None:
        moved += batch * tokens * output_bytes(unmerged, asking.weight_bytes)
    prompt = speed.seconds(flops, moved, starts, speed.evaluation)
    # The prompt's own pass gives the first new token.
    more = max(0, asking.size.new_tokens - 1)
    moved = generation_bytes(shape, batch, tokens + more / 2, asking.weight_bytes) + unpacked
    token = speed.seconds(batch * forward_flops(shape, 1), moved, starts, speed.evaluation)
    return batches * (prompt + more * token)


def evaluation_memory(asking: Asking) -> dict[str, int]:
    """Bytes on the device by what they are for."""
    shape, size, rows = asking.shape, asking.weight_bytes, min(asking.batch, asking.rows)
    positions = rows * asking.tokens
    adapter = asking.adapter
    held = 0 if adapter is None else value_bytes(adapter) + adapter.index_bytes
    cached = rows * (asking.tokens + asking.size.new_tokens)
    choices = asking.size.choices
    logits = LOGIT_COPIES * size * shape.vocabulary * (positions if choices else rows)
    # A layer without gradients: its input, the norm's float32, then gate, up and product.
    layer = positions * (size * (shape.hidden + 3 * shape.intermediate) + FLOAT32 * shape.hidden)
    return {
        "base weights": base_bytes(shape, size, asking.four_bit, asking.double_quant),
        "adapter": held,
        "keys and values": 0 if choices else round(2 * shape.layers * shape.keys * size * cached),
        "one layer's activations": round(layer),
        "logits": round(logits),
    }
