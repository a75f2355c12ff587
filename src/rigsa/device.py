"""Whether the device that a run is to use can do what it is asked."""

from rigsa.errors import RigsaError


def check_device(device: str, precision: str) -> None:
    """Raises RigsaError where a GPU is asked and there is none, or none that has the precision."""
    if device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise RigsaError("device is cuda, but torch sees no GPU here; set device to cpu.")
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise RigsaError(
            f"precision is bfloat16, which {torch.cuda.get_device_name()} cannot compute in; set "
            "precision to float32, or use a GPU from Ampere on."
        )
