"""A Llama without the channels that give nothing: its modules, and how it is loaded.

`rigsa shrink` writes such a model; transformers' own classes have one shape for all layers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, eager_attention_forward

from rigsa.errors import FileError
from rigsa.files import read_object
from rigsa.models.loading import DEFAULT_ATTENTION
from rigsa.tensors import read_tensors

Tensor = torch.Tensor

# Not config.json: whoever took it for a plain Llama would get shapes that do not fit.
CONFIG, WEIGHTS = "shrunk.json", "model.safetensors"
HEADS = ("q_proj", "k_proj", "v_proj", "o_proj")
CHANNELS = ("gate_proj", "up_proj", "down_proj")


class ShrunkLinear(nn.Module):
    """y = W x + b without closed rows and columns.

    Args:
        weight: (kept rows, kept columns); `bias` (kept rows,).
        inputs: features of x that the columns are for; None where x has no others.
        outputs: features of y that the rows are for, the others being 0; None where there are none.
        out_features: of y, where there are `outputs`.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        inputs: Tensor | None = None,
        outputs: Tensor | None = None,
        out_features: int = 0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.register_buffer("inputs", inputs)
        self.register_buffer("outputs", outputs)
        self.out_features = out_features

    def forward(self, x: Tensor) -> Tensor:
        if self.inputs is not None:
            x = x.index_select(-1, self.inputs)
        y = F.linear(x, self.weight, self.bias)
        if self.outputs is None:
            return y
        return y.new_zeros(*y.shape[:-1], self.out_features).index_copy_(-1, self.outputs, y)


class ShrunkAttention(nn.Module):
    """Attention with heads of another width for queries and keys than for values.

    Args:
        projections: q_proj, k_proj, v_proj, o_proj, of the kept heads.
        pairs: rotary pairs (i, i + d/2) that each kept key head has, (key heads, pairs).
    """

    def __init__(
        self,
        config: LlamaConfig,
        layer_idx: int,
        projections: Mapping[str, nn.Module],
        pairs: Tensor,
    ) -> None:
        super().__init__()
        self.config, self.layer_idx = config, layer_idx
        for name, module in projections.items():
            setattr(self, name, module)
        self.register_buffer("pairs", pairs)
        # Of the heads as they were: what is left out would have added nothing to the products.
        self.scaling = config.head_dim**-0.5
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        self.is_causal = True

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        rows, tokens, _ = hidden_states.shape
        heads, groups = len(self.pairs), self.num_key_value_groups
        query = self.q_proj(hidden_states).view(rows, tokens, heads, groups, -1)
        key = self.k_proj(hidden_states).view(rows, tokens, heads, 1, -1)
        value = self.v_proj(hidden_states).view(rows, tokens, heads, -1).transpose(1, 2)
        # Each pair turns by one angle, which stands at both of its places.
        cos, sin = (each[:, :, self.pairs].unsqueeze(3) for each in position_embeddings)
        query = _turned(query, cos, sin).flatten(2, 3).transpose(1, 2)
        key = _turned(key, cos, sin).squeeze(3).transpose(1, 2)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        # Fused kernels want one width; 0 adds nothing.
        width, values = query.shape[-1], value.shape[-1]
        query, key = (F.pad(part, (0, max(0, values - width))) for part in (query, key))
        value = F.pad(value, (0, max(0, width - values)))
        output, weights = attend(
            self, query, key, value, attention_mask, scaling=self.scaling, **kwargs
        )
        return self.o_proj(output[..., :values].flatten(2)), weights


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def load(folder: Path, device: str = "cpu") -> LlamaForCausalLM:
    """The model that `rigsa shrink` wrote into `folder`, for forward passes and generation.

    Raises FileError where a file is missing, corrupt, or not of such a model.
    """
    content = read_object(folder / CONFIG)
    with read_tensors(folder / WEIGHTS) as file:
        tensors = {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118
    try:
        config = LlamaConfig.from_dict(content["config"])
        # A file could name a kernel that would be fetched from the hub.
        config._attn_implementation = DEFAULT_ATTENTION
        with torch.device("meta"):
            model = LlamaForCausalLM(config)
        for index, layer in enumerate(model.model.layers):
            place = f"model.layers.{index}"
            heads = {name: _linear(tensors, f"{place}.self_attn.{name}", config) for name in HEADS}
            pairs = tensors[f"{place}.self_attn.pairs"]
            layer.self_attn = ShrunkAttention(config, index, heads, pairs)
            for name in CHANNELS:
                setattr(layer.mlp, name, _linear(tensors, f"{place}.mlp.{name}", config))
        # What is in no file follows from the configuration.
        model.model.rotary_emb = LlamaRotaryEmbedding(config).to(device)
        if config.tie_word_embeddings:
            tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        model.load_state_dict(tensors, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FileError(
            f"{folder} cannot be read as a shrunk model ({str(error).strip().splitlines()[0]}); "
            "delete it, and make it again with `rigsa shrink`."
        ) from None
    model.tie_weights()
    return model.requires_grad_(False).eval()


def _linear(tensors: Mapping[str, Tensor], name: str, config: LlamaConfig) -> ShrunkLinear:
    parts = (tensors.get(f"{name}.{part}") for part in ("bias", "inputs", "outputs"))
    return ShrunkLinear(tensors[f"{name}.weight"], *parts, out_features=config.hidden_size)
