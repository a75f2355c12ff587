"""config.yaml: this machine's settings, checked and resolved for a study."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigsa.catalog import SCHEMAS
from rigsa.errors import ConfigError
from rigsa.forecast.cards import card
from rigsa.study import Study
from rigsa.validation import check, shown
from rigsa.yaml_file import read_yaml

CONFIG = Path("config.yaml")
SCHEMA = SCHEMAS / "config.schema.yaml"
# Folders of the project that results would be written among.
OWN_FOLDERS = (".git", ".snakemake", "profiles", "src", "studies", "tests", "workflow")


def read_config() -> dict[str, Any]:
    """config.yaml as it stands; raises ConfigError where a key of it is wrong.

    Asked before Snakemake reads it, whose own reader takes a key that stands twice and runs what a
    template in it says.
    """
    config = read_yaml(CONFIG)
    check(config, SCHEMA, CONFIG)
    return config


def check_config(config: Mapping[str, Any]) -> None:
    """The same with what the command line changed, and that results can be written."""
    check(config, SCHEMA, CONFIG)
    if config["gpu_card"] is not None:
        card(config["gpu_card"], "config.yaml: gpu_card")
    folder = Path(config["results"])
    where = f"config.yaml: results is {shown(str(folder))}"
    try:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        resolved = folder.resolve()
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "a link to itself"
        raise ConfigError(f"{where}, which is no path ({why}); name another.") from None
    if not existing.is_dir():
        raise ConfigError(f"{where}, but {existing} is a file; name a folder.")
    project = Path.cwd()
    inside = resolved.relative_to(project).parts if resolved.is_relative_to(project) else ()
    if project.is_relative_to(resolved) or inside[:1] in {(own,) for own in OWN_FOLDERS}:
        raise ConfigError(f"{where}, which holds files of the project; name another folder.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{where}, and {existing} is not writable; name another folder or change its "
            "permissions."
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
