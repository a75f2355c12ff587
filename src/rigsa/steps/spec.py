"""A job's SPEC from the command line: JSON in which a wrong or missing key is one sentence."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from rigsa.errors import ConfigError, FileError

# Every job means the same by a key, at whatever depth it stands.
TEXT = (
    *("task", "generator", "images", "subset_of", "stock", "lm_eval", "benchmark", "code"),
    *("rule", "scope", "precision", "kind", "folder", "repository", "revision"),
    *("type", "optimizer", "schedule", "chosen_by"),
)
WHOLE = (
    *("seed", "fewshot", "train", "validation", "test", "batch_size", "logs"),
    *("vocabulary", "steps", "rows", "row_tokens", "hidden_size", "num_hidden_layers", "r"),
    *("gpus", "width", "lora_rank", "batches", "window"),
)
NUMBERS = (
    *("weight_decay", "epochs", "max_grad_norm", "warmup_ratio", "gate_init"),
    *("share", "coefficient", "progress", "rewind", "every", "distance"),
)
OBJECTS = (
    *("adapter", "training", "replay", "counts", "architecture", "mixture", "most_turns"),
    *("early_bird", "mask", "warmup"),
)
BY_NAME = ("inputs", "versions")
KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(TEXT, (str,)),
    **dict.fromkeys(WHOLE, (int,)),
    **dict.fromkeys(NUMBERS, (int, float)),
    **dict.fromkeys(OBJECTS, (dict,)),
    **dict.fromkeys(BY_NAME, (dict,)),
    **dict.fromkeys(("keep", "density"), (int, float, NoneType)),
    **dict.fromkeys(("chat", "four_bit"), (bool,)),
    **dict.fromkeys(("tasks", "replayed", "learning_rates"), (list,)),
    # Several where one is to be chosen.
    "learning_rate": (int, float, list),
    "limit": (int, NoneType),
    **dict.fromkeys(("config", "metric", "method"), (str, NoneType)),
    "quantization": (dict, NoneType),
}
NAMES = {str: "text", int: "a whole number", float: "a number", dict: "an object", list: "a list"}
NAMES |= {bool: "true or false", NoneType: "null"}


class Spec(dict):
    """An object of a SPEC, which says that it lacks a key instead of raising KeyError."""

    def __missing__(self, key: str) -> Any:
        raise ConfigError(f"SPEC lacks the key {key!r}; `rigsa spec` prints whole ones.")


def read_spec(text: str) -> Spec:
    """A spec from JSON text or from the file that holds it."""
    try:
        content = json.loads(
            text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"),
            parse_constant=_no_number,
        )
    except OSError:
        raise FileError(f"SPEC names the file {text!r}, which cannot be read.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"SPEC is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"SPEC must be an object of keys and values, not {content!r:.60}.")
    return _checked(content, KINDS)


def _checked(content: dict[str, Any], known: Mapping[str, tuple[type, ...]]) -> Spec:
    for key, value in content.items():
        kinds = known.get(key, (type(value),))
        # A bool is an int for Python alone.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(NAMES[kind] for kind in kinds)
            raise ConfigError(f"SPEC has {key} {value!r:.60}; it must be {wanted}.")
    return Spec({key: _part(key, value, known) for key, value in content.items()})


def _part(key: str, value: Any, known: Mapping[str, tuple[type, ...]]) -> Any:
    if not isinstance(value, dict):
        return value
    # Inputs and versions have names as keys, which may be those of settings.
    return _checked(value, dict.fromkeys(value, (str, NoneType)) if key in BY_NAME else known)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")
