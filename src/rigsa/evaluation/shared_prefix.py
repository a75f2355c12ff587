"""What all requests of a task begin with is read once; its keys and values are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

# Tokens from which on it is worth it: in the embedded study 8 of 80 save a tenth of the time, and
# what is carried along costs nothing that could be measured.
SHORTEST = 8


class KeptLayer(DynamicLayer):
    """One layer's keys and values of the beginning, for batches of any size.

    It hands out what follows them, but does not keep it: the same cache serves every batch, and a
    batch needs room for one layer at a time. That is all a single forward pass looks at.
    """

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = len(key_states)
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
            torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2),
        )


@dataclass(frozen=True)
class SharedPrefix:
    """Tokens [length] and, for every layer, their keys and values [1, heads, length, width]."""

    tokens: torch.Tensor
    states: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    def __len__(self) -> int:
        return len(self.tokens)

    def for_one_pass(self) -> Cache:
        """A cache that a forward pass reads and does not add to."""
        return Cache(layers=[_layer(KeptLayer, *pair) for pair in self.states])

    def to_go_on(self, rows: int) -> Cache:
        """A cache of that many rows that grows with what is generated."""
        expanded = (
            (keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1))
            for keys, values in self.states
        )
        return Cache(layers=[_layer(DynamicLayer, *pair) for pair in expanded])


def common_length(rows: Sequence[torch.Tensor]) -> int:
    """How many tokens all rows begin with alike."""
    first = rows[0]
    length = len(first)
    for row in rows[1:]:
        length = min(length, len(row))
        differing = (row[:length] != first[:length]).nonzero()
        if len(differing):
            length = int(differing[0])
    return length


def read_prefix(model: PreTrainedModel, tokens: torch.Tensor) -> SharedPrefix | None:
    """The model's keys and values of `tokens` [length].

    None where the model keeps anything but plain keys and values of every token (a sliding window,
    a recurrent state): such a cache cannot be cut and shared.
    """
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        model(
            input_ids=tokens[None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    plain = all(type(layer) is DynamicLayer for layer in cache.layers)
    if not plain or any(layer.get_seq_length() != len(tokens) for layer in cache.layers):
        return None
    return SharedPrefix(tokens, tuple((layer.keys, layer.values) for layer in cache.layers))


def _layer(kind: type[DynamicLayer], keys: torch.Tensor, values: torch.Tensor) -> DynamicLayer:
    layer = kind()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values = keys, values
    return layer
