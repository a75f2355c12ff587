"""Takes out of a model what can give nothing, so that its parameters become fewer.

A row or column whose weights are all 0 is closed, as a gate that is 0 leaves it. A channel between
two matrices goes with the closed side of either; one of the residual stream stays, and only the
matrices that do not read or write it become narrower.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaForCausalLM, PreTrainedModel

from rigsa.errors import RigsaError
from rigsa.files import whole_folder, write_json
from rigsa.models.loading import load_tokenizer
from rigsa.models.merging import merged
from rigsa.models.shrunk import CONFIG, WEIGHTS, ShrunkAttention, ShrunkLinear
from rigsa.tensors import write_tensors

Tensor = torch.Tensor


@dataclass(frozen=True)
class Shrunk:
    """Parameters of a model before and after, and of each layer what is left of its channels."""

    before: int
    after: int
    layers: list[dict[str, int]]


def shrink(checkpoint: Path, base_model: Path, output: Path) -> Shrunk:
    """Writes `output`: safetensors weights, configuration with shapes, tokenizer.

    `rigsa.models.shrunk.load` reads it. Raises RigsaError where the adapter cannot be folded into
    the weights, has closed all of a matrix, or the model is no Llama.
    """
    model = merged(checkpoint, base_model)
    try:
        shrunk = shrink_model(model)
    except RigsaError as error:
        raise RigsaError(f"{checkpoint}: {error}") from None
    model.config.use_cache = True
    tensors = model.state_dict()
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    content = {
        # Without the folder that the base model lay in, which to_dict() would have.
        "config": json.loads(model.config.to_json_string()),
        "parameters": {"before": shrunk.before, "after": shrunk.after},
        "layers": shrunk.layers,
    }
    with whole_folder(output) as partial:
        write_tensors(partial / WEIGHTS, tensors)
        write_json(partial / CONFIG, content)
        load_tokenizer(base_model).save_pretrained(partial)
    return shrunk


@torch.no_grad()
def shrink_model(model: PreTrainedModel) -> Shrunk:
    """Shrinks a Llama in place: it gives the same logits, up to the rounding of shorter sums."""
    config = model.config
    if not isinstance(model, LlamaForCausalLM) or config.hidden_act != "silu":
        raise RigsaError(
            f"the model is of type {config.model_type}, and only Llama models are shrunk; "
            "use `rigsa merge`."
        )
    _check_open(model)
    before, layers = model.num_parameters(), []
    for index, layer in enumerate(model.model.layers):
        layer.self_attn = _attention(layer.self_attn, config, index)
        _feed_forward(layer.mlp, f"layers.{index}.mlp")
        layers.append(
            {
                "key_value_heads": len(layer.self_attn.pairs),
                "query_key_width": 2 * layer.self_attn.pairs.shape[1],
                "value_width": len(layer.self_attn.v_proj.weight) // len(layer.self_attn.pairs),
                "intermediate": len(layer.mlp.gate_proj.weight),
            }
        )
    return Shrunk(before, model.num_parameters(), layers)


def _check_open(model: PreTrainedModel) -> None:
    for name, module in model.model.named_modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            raise _closed(name)


def _closed(name: str) -> RigsaError:
    return RigsaError(
        f"nothing of {name} is open, and its block gives nothing any more; train with a lower "
        "adapter.target, fewer steps or a lower learning rate."
    )


def open_rows(linear: nn.Linear) -> Tensor:
    """Bool (out_features,): what may be other than 0."""
    found = (linear.weight != 0).any(dim=1)
    return found if linear.bias is None else found | (linear.bias != 0)


def open_columns(linear: nn.Linear) -> Tensor:
    """Bool (in_features,): what may be read."""
    return (linear.weight != 0).any(dim=0)


def _feed_forward(mlp: nn.Module, name: str) -> None:
    """A channel is act(gate) · up, which 0 in either makes 0, times its column of down."""
    kept = open_rows(mlp.gate_proj) & open_rows(mlp.up_proj) & open_columns(mlp.down_proj)
    if not kept.any():
        raise _closed(name)
    places = kept.nonzero().squeeze(1)
    mlp.gate_proj, mlp.up_proj = _reading(mlp.gate_proj, places), _reading(mlp.up_proj, places)
    mlp.down_proj = _writing(mlp.down_proj, places)


def _attention(attention: nn.Module, config: Any, index: int) -> ShrunkAttention:
    """Heads of a layer stay equally wide: each keeps as many channels as the one with most open.

    A value channel is a row of V and the columns of O of all heads that share it. Queries and keys
    go in the pairs that rotary embeddings turn, and by key head as well.
    """
    heads, width = config.num_key_value_heads, attention.head_dim
    groups = config.num_attention_heads // heads
    read = open_columns(attention.o_proj).view(heads, groups, width).any(dim=1)
    values = open_rows(attention.v_proj).view(heads, width) & read
    queries = open_rows(attention.q_proj).view(heads, groups, 2, -1).any(dim=2).any(dim=1)
    pairs = open_rows(attention.k_proj).view(heads, 2, -1).any(dim=1) & queries
    kept = values.any(dim=1).nonzero().squeeze(1)
    if not len(kept):
        raise _closed(f"layers.{index}.self_attn")
    pairs, values = _widest(pairs[kept]), _widest(values[kept])
    both = torch.cat((pairs, pairs + width // 2), dim=1)
    starts = (kept * width)[:, None]
    shared = (kept[:, None] * groups + torch.arange(groups, device=kept.device)).view(-1, 1) * width
    in_queries = (shared + both.repeat_interleave(groups, dim=0)).flatten()
    in_outputs = (shared + values.repeat_interleave(groups, dim=0)).flatten()
    projections = {
        "q_proj": _reading(attention.q_proj, in_queries),
        "k_proj": _reading(attention.k_proj, (starts + both).flatten()),
        "v_proj": _reading(attention.v_proj, (starts + values).flatten()),
        "o_proj": _writing(attention.o_proj, in_outputs),
    }
    return ShrunkAttention(config, index, projections, pairs)


def _widest(is_open: Tensor) -> Tensor:
    """Places of each head's open channels, (heads, most of them); the rest are closed ones, which
    give nothing."""
    most = max(1, int(is_open.sum(dim=1).max()))
    return is_open.byte().argsort(dim=1, descending=True, stable=True)[:, :most].sort(dim=1).values


def _reading(linear: nn.Linear, rows: Tensor) -> ShrunkLinear:
    """The rows of a matrix that reads the residual stream."""
    weight, bias = linear.weight[rows], None if linear.bias is None else linear.bias[rows]
    inputs = (weight != 0).any(dim=0)
    if inputs.all():
        return ShrunkLinear(weight, bias)
    return ShrunkLinear(weight[:, inputs], bias, inputs=inputs.nonzero().squeeze(1))


def _writing(linear: nn.Linear, columns: Tensor) -> ShrunkLinear:
    """The columns of a matrix that writes into the residual stream."""
    weight, bias = linear.weight[:, columns], linear.bias
    outputs = (weight != 0).any(dim=1)
    if bias is not None:
        outputs |= bias != 0
        bias = bias[outputs]
    if outputs.all():
        return ShrunkLinear(weight.clone(), bias)
    places = outputs.nonzero().squeeze(1)
    return ShrunkLinear(weight[outputs], bias, outputs=places, out_features=linear.out_features)
