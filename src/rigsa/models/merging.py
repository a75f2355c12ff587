"""A checkpoint as a plain Hugging Face folder, for tools that know nothing of adapters."""

from pathlib import Path

from transformers import PreTrainedModel

from rigsa.errors import RigsaError
from rigsa.files import read_json, whole_folder
from rigsa.machine import Machine
from rigsa.models.loading import load_checkpoint, load_tokenizer
from rigsa.paths import CheckpointPaths


def merge(checkpoint: Path, base_model: Path, output: Path) -> None:
    """Writes `output`: safetensors weights with the adapter in them, configuration, tokenizer."""
    model = merged(checkpoint, base_model)
    # Off while training; whoever loads the folder wants to generate.
    model.config.use_cache = True
    with whole_folder(output) as partial:
        model.save_pretrained(partial)
        load_tokenizer(base_model).save_pretrained(partial)


def merged(checkpoint: Path, base_model: Path) -> PreTrainedModel:
    """The model with the adapter in its weights, as an evaluation asks it, in the same precision.

    Raises RigsaError for a checkpoint on a 4-bit base or of a method that has no such weights,
    FileError for a missing or corrupt file.
    """
    paths = CheckpointPaths(checkpoint)
    spec = read_json(paths.training)["spec"]
    if spec["quantization"] is not None:
        raise RigsaError(
            f"{checkpoint} was trained on a 4-bit base, whose rounding would lose the adapter; "
            "merge a checkpoint of an arm with base: full, or load base and adapter with PEFT."
        )
    machine = Machine(precision=spec["precision"])
    model = load_checkpoint(base_model, paths.adapter, machine, None)
    if hasattr(model, "merge_and_unload"):
        raise RigsaError(
            f"{checkpoint} has an adapter of type {model.active_peft_config.peft_type}, which "
            "cannot be merged into the base model's weights; load base and adapter with PEFT."
        )
    return model
