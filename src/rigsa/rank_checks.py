"""Which ranks fit a base model: more than its smallest matrix has room for teach nothing."""

from collections.abc import Mapping
from typing import Any

from rigsa.errors import ConfigError
from rigsa.methods import METHODS


def check_rank(base_model: Mapping[str, Any], adapter: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError where a rank is higher than the adapter takes on such a model."""
    most, narrow = METHODS[adapter["type"]].most, narrowest(base_model)
    if most is not None and narrow is not None and adapter.get("r", 0) > most(*narrow):
        raise ConfigError(
            f"{where}.r is {adapter['r']}, but the base model is {narrow[0]} wide, and "
            f"{adapter['type']} takes at most {most(*narrow)} there; set it lower."
        )


def narrowest(base_model: Mapping[str, Any]) -> tuple[int, int] | None:
    """Widths of the model and of its keys, which its smallest matrix leads to; None if unknown."""
    shape = base_model.get("architecture", base_model.get("forecast", {}))
    if "hidden_size" not in shape:
        return None
    width, heads = shape["hidden_size"], shape.get("num_attention_heads", 1)
    head = shape.get("head_dim") or width // heads
    return width, head * (shape.get("num_key_value_heads") or heads)
