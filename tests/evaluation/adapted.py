"""Adapters that change a model's answers, as if they had been trained."""

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.masks.storage import Mask

ADAPTERS = {
    "sparse_delta": {"type": "sparse_delta", "init_scale": 1.0, "gate_init": 1.0},
    "lora": {"type": "lora", "r": 4, "lora_alpha": 32},
    "shira": {"type": "shira", "r": 4},
    "fine_gates": {"type": "fine_gates", "r": 4},
}


def adapted(model: PreTrainedModel, kind: str, density: float = 0.1) -> PeftModel:
    """`model` with random values in the adapter; a sparse delta has a random mask."""
    generator = torch.Generator().manual_seed(3)
    mask = None
    if kind == "sparse_delta":
        shapes = linear_shapes(model)
        mask = Mask({n: torch.rand(s, generator=generator) < density for n, s in shapes.items()})
    made = build_adapter(model, ADAPTERS[kind], 0, mask).eval()
    for name, parameter in made.named_parameters():
        if any(part in name for part in ("lora_B", "shira_weight", "fine_gates_")):
            torch.nn.init.normal_(parameter, std=0.3)
    return made
