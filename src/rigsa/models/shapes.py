"""Shapes of the matrices that adapters go on, without loading any weight."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rigsa.adapters.build import linear_shapes
from rigsa.models.folder import local


def adapted_shapes(base_model: Path) -> dict[str, torch.Size]:
    """(out_features, in_features) of every linear layer but the head, in the model's order."""
    config = AutoConfig.from_pretrained(
        local(base_model), local_files_only=True, trust_remote_code=False
    )
    with torch.device("meta"):
        return linear_shapes(AutoModelForCausalLM.from_config(config, trust_remote_code=False))
