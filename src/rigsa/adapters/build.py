"""An adapter on a base model from its description in the study: PEFT's own methods and ours."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from transformers import PreTrainedModel

from rigsa.masks.storage import Mask
from rigsa.masks.values import TrainedValues


def build_adapter(
    model: PreTrainedModel,
    adapter: Mapping[str, Any],
    seed: int,
    mask: Mask | None,
    rewound: TrainedValues | None = None,
) -> PeftModel:
    """Puts a fresh adapter on `model`.

    Args:
        adapter: {"type": a PEFT type in lower case, and options of its PEFT configuration}.
        seed: decides every initial value.
        mask: for methods whose configuration takes one.
        rewound: what such a method begins with, where that is not decided by the seed.
    """
    options = {key: value for key, value in adapter.items() if key != "type"}
    config_class = PEFT_TYPE_TO_CONFIG_MAPPING[adapter["type"].upper()]
    known = {field.name: field.default for field in fields(config_class)}
    # A method of ours knows where it goes; PEFT's own are told.
    if known["target_modules"] is None:
        options.setdefault("target_modules", "all-linear")
    # SHiRA's random mask has a seed of its own, and without one the same places for every seed.
    given = {"seed": seed, "random_seed": seed, "mask": mask, "rewound": rewound}
    options |= {key: value for key, value in given.items() if key in known}
    torch.manual_seed(seed)
    return get_peft_model(model, config_class(task_type="CAUSAL_LM", **options))


def linear_shapes(model: PreTrainedModel) -> dict[str, torch.Size]:
    """(out_features, in_features) of every linear layer but the head, by module name."""
    head = model.get_output_embeddings()
    return {
        name: torch.Size((module.out_features, module.in_features))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
