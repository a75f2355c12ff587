"""A GPU that is not there, or cannot do what is asked, is said in one sentence."""

import pytest
import torch

from rigsa.device import check_device
from rigsa.errors import RigsaError


def gpu(monkeypatch: pytest.MonkeyPatch, available: bool, bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")


def test_a_cpu_is_always_there(monkeypatch) -> None:
    gpu(monkeypatch, available=False, bfloat16=False)
    check_device("cpu", "bfloat16")


def test_no_gpu_is_said(monkeypatch) -> None:
    gpu(monkeypatch, available=False, bfloat16=False)
    with pytest.raises(RigsaError, match="device is cuda, but torch sees no GPU here"):
        check_device("cuda", "float32")


def test_a_gpu_without_bfloat16_is_said(monkeypatch) -> None:
    gpu(monkeypatch, available=True, bfloat16=False)
    check_device("cuda", "float32")
    with pytest.raises(RigsaError, match="bfloat16, which Tesla T4 cannot compute in; set prec"):
        check_device("cuda", "bfloat16")
