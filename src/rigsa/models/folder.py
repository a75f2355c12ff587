"""Whether a folder holds a base model that can be loaded: told from its file list and config.json.

Nothing here imports torch, so that a fetch on a login node says at once what is wrong.
"""

import re
from pathlib import Path
from typing import Any

from rigsa.errors import FileError
from rigsa.files import read_object
from rigsa.methods import METHODS
from rigsa.paths import ADAPTER_FILES
from rigsa.validation import one_of

# How jobs are told that a folder's weights are 4-bit already, instead of how to make them so.
READY = {"ready": True}
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"[^/\\]+\.safetensors")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = ADAPTER_FILES
# PEFT has methods that import modules which their adapter_config.json names.
ADAPTER_TYPES = tuple(name.upper() for name in METHODS)


def check_model_folder(folder: Path, where: str, *, four_bit: bool) -> None:
    """Raises FileError, naming `where`, unless it is a whole model with its tokenizer."""
    check_config(folder, where, four_bit=four_bit)
    missing = [name for name in weight_files(folder, where) if not (folder / name).is_file()]
    if missing:
        raise FileError(f"{where} lacks its weights {missing[0]}; copy or download it anew.")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        raise FileError(f"{where} has no tokenizer (tokenizer.json); put the base model's there.")


def check_config(folder: Path, where: str, *, four_bit: bool) -> None:
    """The same of config.json alone: that it is there, and 4-bit where, and only where, asked."""
    if not (folder / "config.json").is_file():
        raise FileError(f"{where} is no model folder: it has no config.json.")
    config = read_object(folder / "config.json")
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and "auto_map" in read_object(folder / name):
            raise FileError(
                f"{where} needs code of its own (auto_map in {name}), which is never run; name a "
                "model that transformers knows."
            )
    quantization = config.get("quantization_config")
    if four_bit and not _is_four_bit(quantization):
        raise FileError(
            f"{where} is no 4-bit model: its config.json has no quantization_config with "
            "load_in_4bit; name a ready 4-bit one, or let four_bit be made on loading."
        )
    if not four_bit and quantization is not None:
        raise FileError(
            f"{where} is quantised, and a full-precision base model is wanted; name the repository "
            "or folder with the plain weights."
        )


def local(folder: Path) -> Path:
    """The folder; FileError where it is not here, as transformers would then ask the hub for it."""
    if not folder.is_dir():
        raise FileError(f"{folder} is no model folder: there is no such folder.")
    return folder


def weight_files(folder: Path, where: str) -> list[str]:
    """Names of the safetensors files: one, or the shards that the index names."""
    if (folder / INDEX).is_file():
        shards = read_object(folder / INDEX).get("weight_map")
        names = set(shards.values()) if isinstance(shards, dict) else {None}
        # A name with a path would be read elsewhere, and another ending would be unpickled.
        if not all(isinstance(name, str) and SHARD.fullmatch(name) for name in names):
            raise FileError(
                f"{where} has an {INDEX} that names other things than .safetensors files beside "
                "it; copy or download it anew."
            )
        return sorted(names)
    if not any(folder.glob("*.safetensors")):
        raise FileError(
            f"{where} has no .safetensors weights, and pickled ones (.bin, .pt) are never read; "
            "name a revision or folder that has them."
        )
    return [WEIGHTS]


def check_adapter_folder(folder: Path) -> None:
    """Raises FileError unless it is an adapter of ours with safetensors weights."""
    kind = read_object(folder / ADAPTER_CONFIG).get("peft_type")
    if kind not in ADAPTER_TYPES:
        raise FileError(
            f"{folder / ADAPTER_CONFIG}: peft_type is {kind!r}; {one_of(str(kind), ADAPTER_TYPES)}"
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise FileError(
            f"{folder} has no {ADAPTER_WEIGHTS}, and pickled weights (.bin, .pt) are never read; "
            "train the checkpoint again."
        )


def _is_four_bit(quantization: Any) -> bool:
    return isinstance(quantization, dict) and bool(quantization.get("load_in_4bit"))
