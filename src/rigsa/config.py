"""config.yaml: this machine's settings, checked and resolved for a study."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.errors import ConfigError
from rigsa.study import SCHEMAS, Study
from rigsa.validation import check


def check_config(config: Mapping[str, Any]) -> None:
    """Raises ConfigError where a key of config.yaml is wrong or results cannot be written."""
    check(config, SCHEMAS / "config.schema.yaml", "config.yaml")
    folder = Path(config["results"])
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise ConfigError(
            f"config.yaml: results is {str(folder)!r}, but {existing} is a file; name a folder."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(
            f"config.yaml: results is {str(folder)!r}, and {existing} is not writable; "
            "name another folder or change its permissions."
        )


def resolve_device(config: Mapping[str, Any], study: Study) -> str:
    """What `device: auto` stands for; decided without looking, as a cluster's login node cannot."""
    if config["device"] != "auto":
        return config["device"]
    return "cuda" if study.gpu else "cpu"


def resolve_precision(config: Mapping[str, Any], study: Study) -> str:
    if config["precision"] != "auto":
        return config["precision"]
    return "bfloat16" if resolve_device(config, study) == "cuda" else "float32"


def check_attention(config: Mapping[str, Any], study: Study) -> None:
    """Raises ConfigError where flash attention is asked of what it cannot do."""
    resolved = {
        "device": (resolve_device(config, study), "cuda"),
        "precision": (resolve_precision(config, study), "bfloat16"),
    }
    for key, (given, needed) in resolved.items():
        if config["attention"] == "flash_attention_2" and given != needed:
            raise ConfigError(
                f"config.yaml: attention is flash_attention_2, which needs {key} {needed}, and "
                f"{key} is {given}; set attention to sdpa."
            )
