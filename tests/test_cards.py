"""A card is the same card, however a run names it; what CUDA would not take is not taken either."""

import sys
from pathlib import Path

import pytest

from rigsa import cards
from rigsa.cards import named, parsed, visible_cards
from rigsa.errors import RigsaError
from tests.nvidia_smi import MIXED, SPLIT, SPLIT_OLD, WHOLE, pretend

A, B, C, D = [gpu.whole.identity for gpu in parsed(WHOLE)]
PART_0, PART_1 = [card.identity for card in parsed(SPLIT)[0].cards]
OLD_0, OLD_1 = [card.identity for card in parsed(SPLIT_OLD)[1].cards]
TORCH = """\
from types import SimpleNamespace
cards = [SimpleNamespace(name=name, uuid=uuid) for name, uuid in {cards}]
cuda = SimpleNamespace(device_count=lambda: len(cards), get_device_properties=cards.__getitem__)
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes up what nvidia-smi prints; without a call there is none."""
    for variable in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return lambda listing, modes="": pretend(tmp_path / "bin", listing, modes)


def identities(value: str, listing: str = WHOLE, order: str = "") -> list[str]:
    return [card.identity for card in named(value, parsed(listing), order)]


def test_gpus_and_their_instances_are_read() -> None:
    assert [gpu.number for gpu in parsed(WHOLE)] == [0, 1, 2, 3]
    assert A == "GPU-513536b6-7d19-9063-b049-1e69664bb298"
    assert parsed(WHOLE)[0].whole.kind == "NVIDIA A100-SXM4-80GB"
    assert [card.kind for card in parsed(SPLIT)[0].cards] == [
        "NVIDIA A100-SXM4-80GB MIG 1g.20gb"
    ] * 2
    assert OLD_1 == "MIG-GPU-fb8bbc70-d551-45f9-43d4-9734f9cddb2c/2/0"
    lost = f"Unable to determine the device handle for gpu 0000:02:00.0\n{WHOLE}\n"
    assert parsed(lost) == parsed(WHOLE)
    assert parsed("No devices found.\n") == []


def test_an_integrated_gpu_is_known_by_its_number() -> None:
    (orin,) = parsed("GPU 0: Orin (nvgpu) (UUID: 54b2a2f5-0000-5555-b7a4-25ab7b3ad1e3)")
    assert orin.whole.identity == "0"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0,1", [A, B]),
        (" 2 , 0 ", [C, A]),
        ("0,2,-1,1", [A, C]),
        ("0,9,1", [A]),
        ("1gpu2,2ampere", [B, C]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1,1", []),
        ("all", []),
        (f"{B},{A}", [B, A]),
        ("GPU-d8594bd4", [B]),
        ("GPU-5", []),
        ("GPU-51,GPU-5e", [A, C]),
        (f"{A},GPU-51", []),
        (f"{A},GPU-nobody,{B}", [A]),
        (f"{A},1", [A]),
        ("GPU-", []),
        ("513536b6-7d19-9063-b049-1e69664bb298", []),
    ],
)
def test_it_is_read_as_cuda_reads_it(value, found) -> None:
    assert identities(value) == found


@pytest.mark.parametrize(
    ("value", "listing", "found"),
    [
        (f"{PART_1},{PART_0}", SPLIT, [PART_1, PART_0]),
        ("MIG-ce86", SPLIT, [PART_0]),
        ("0", SPLIT, [PART_0, PART_1]),
        ("1,0", SPLIT, [B, PART_0, PART_1]),
        ("GPU-5135", SPLIT, [PART_0, PART_1]),
        (f"GPU-5135,{PART_0}", SPLIT, []),
        (OLD_1, SPLIT_OLD, [OLD_1]),
        ("MIG-GPU-fb8bbc70", SPLIT_OLD, []),
    ],
)
def test_instances_of_gpus_are_cards(value, listing, found) -> None:
    assert identities(value, listing) == found


def test_numbers_of_several_kinds_of_gpus_are_refused() -> None:
    with pytest.raises(RigsaError, match=r"several kinds, .* set CUDA_DEVICE_ORDER=PCI_BUS_ID for"):
        identities("0", MIXED)
    assert identities("0", MIXED, "PCI_BUS_ID") == ["GPU-11111111-0000-0000-0000-000000000000"]
    assert identities("GPU-12", MIXED) == ["GPU-12222222-0000-0000-0000-000000000000"]
    # All of them are the same cards in any order.
    assert len(identities("1,0", MIXED)) == 2


def test_this_machines_cards_are_listed(smi, monkeypatch) -> None:
    smi(WHOLE)
    assert [card.identity for card in visible_cards()] == [A, B, C, D]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert [card.identity for card in visible_cards()] == [D]


def test_a_gpu_that_is_to_be_split_and_is_not_is_no_card(smi) -> None:
    smi(SPLIT, modes=f"{A}, Enabled\n{B}, Enabled\n{C}, Disabled")
    assert [card.identity for card in visible_cards()] == [PART_0, PART_1, C]


def test_torch_is_asked_where_there_is_no_nvidia_smi(smi, tmp_path, monkeypatch) -> None:
    seen = [("NVIDIA A100", "513536b6"), ("NVIDIA A100 MIG 1g.5gb", "ce861fb0")]
    (tmp_path / "torch.py").write_text(TORCH.format(cards=seen))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert [card.identity for card in visible_cards()] == ["GPU-513536b6", "MIG-ce861fb0"]
    assert "cards" not in vars(sys.modules["torch"])


def test_a_torch_that_fails_is_said(smi, tmp_path, monkeypatch) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so: not found')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RigsaError, match=r"the GPUs here .*libcudart.so: not found.; set device"):
        visible_cards()


def test_an_nvidia_smi_that_hangs_is_said(smi, monkeypatch) -> None:
    command = smi(WHOLE) / "nvidia-smi"
    command.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(cards, "PATIENCE", 0.2)
    with pytest.raises(RigsaError, match=r"nvidia-smi has not said in 0.2 s which GPUs there are"):
        visible_cards()
