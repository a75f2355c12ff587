"""Base models and their adapters, from folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rigsa.collector import importing
from rigsa.device import check_device
from rigsa.errors import FileError, RigsaError
from rigsa.machine import Machine
from rigsa.models.folder import READY, check_adapter_folder, check_config, local, weight_files
from rigsa.tensors import read_tensors

# The faster one wherever it was measured.
DEFAULT_ATTENTION = "sdpa"


def load_base(
    folder: Path, machine: Machine, quantization: Mapping[str, Any] | None = None
) -> PreTrainedModel:
    """A base model with frozen weights on the machine's device.

    Args:
        folder: a Hugging Face model folder with safetensors weights.
        quantization: None for the machine's precision; {"quant_type", "compute_dtype",
            "double_quant"} for bitsandbytes 4-bit, made on loading; {"ready": True} for a folder
            whose weights are 4-bit already.

    Raises:
        FileError: the folder is missing, its weights are corrupt, or it is 4-bit where it should
            not be or not where it should.
        RigsaError: the device or the kind of attention is not there, or bitsandbytes left the
            linears as they were.
    """
    check_device(machine.device, machine.precision)
    check_config(folder, str(folder), four_bit=quantization == READY)
    weight_files(folder, str(folder))
    options: dict[str, Any] = {
        "dtype": getattr(torch, machine.precision),
        "attn_implementation": DEFAULT_ATTENTION
        if machine.attention == "auto"
        else machine.attention,
    }
    if quantization is not None:
        if quantization != READY:
            options["quantization_config"] = _bitsandbytes(quantization)
        # Quantised weights are made where they stay; they cannot be moved afterwards. Of several
        # cards it is the one that this process has, by its number.
        options["device_map"] = {"": str(torch.empty(0, device=machine.device).device)}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            **options,
        )
    except ImportError:
        raise RigsaError(
            f"attention is {machine.attention}, and its package is not installed here; set "
            "attention to sdpa in config.yaml."
        ) from None
    except (SafetensorError, OSError) as error:
        raise FileError(f"{folder} cannot be read as a model: {error}") from None
    if quantization is None:
        model = model.to(machine.device)
    else:
        _keep_four_bit(model, folder)
        _in_precision(model, options["dtype"])
    model.requires_grad_(False)
    model.config.use_cache = False
    return model.eval()


def four_bit_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """bitsandbytes' 4-bit linear layers of the model."""
    return [module for module in model.modules() if type(module).__name__ == "Linear4bit"]


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Raises FileError where the folder's tokenizer is corrupt or needs code of its own."""
    try:
        return AutoTokenizer.from_pretrained(
            local(folder), local_files_only=True, trust_remote_code=False
        )
    except FileError:
        raise
    except Exception as error:  # Of a corrupt file, tokenizers raises nothing narrower.
        first = (str(error).strip() or repr(error)).splitlines()[0]
        raise FileError(f"{folder} cannot be read as a tokenizer ({first}).") from None


def load_adapter(model: PreTrainedModel, folder: Path) -> torch.nn.Module:
    """The model with a saved adapter on it. Raises FileError where it is corrupt or not ours."""
    with importing():
        from peft import PeftModel

    check_adapter_folder(folder)
    try:
        # PEFT reads the file by itself, once it is known to be whole.
        with read_tensors(folder / "adapter_model.safetensors"):
            pass
        return PeftModel.from_pretrained(model, folder, local_files_only=True).eval()
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise FileError(
            f"{folder} cannot be read as an adapter of this model ({first}); delete it, and the "
            "next run makes it again."
        ) from None


def load_checkpoint(
    base_model: Path,
    adapter: Path | None,
    machine: Machine,
    quantization: Mapping[str, Any] | None,
) -> torch.nn.Module:
    """A base model to ask, with an adapter where there is one.

    A full-precision base takes the adapter into its weights where the method can, which is faster;
    a 4-bit one would lose it in rounding. A method that cannot says so: its tuner has `mergeable`.
    """
    model = load_base(base_model, machine, quantization)
    if adapter is None:
        return model
    adapted = load_adapter(model, adapter)
    if quantization is None and getattr(adapted, "mergeable", True):
        return adapted.merge_and_unload()
    return adapted


def _keep_four_bit(model: torch.nn.Module, folder: Path) -> None:
    layers = four_bit_layers(model)
    if not layers:
        raise RigsaError(f"{folder} was to be loaded in 4-bit, but no linear layer is 4-bit.")
    for layer in layers:
        # On some processors bitsandbytes repacks weights at the first inference and rounds their
        # scales to bfloat16: scores would depend on the processor, and training goes on packed.
        layer.support_avx512bf16_for_cpu = False


def _in_precision(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """A ready 4-bit folder's other weights come as they were stored, whatever is asked."""
    for weight in model.parameters():
        if weight.is_floating_point():
            weight.data = weight.data.to(dtype)
    model.config.dtype = dtype


def _bitsandbytes(quantization: Mapping[str, Any]) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization["quant_type"],
        bnb_4bit_compute_dtype=getattr(torch, quantization["compute_dtype"]),
        bnb_4bit_use_double_quant=quantization["double_quant"],
    )
