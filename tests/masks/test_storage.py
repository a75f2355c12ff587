"""Mask files: one bit a weight, whole, and refused where they are damaged or do not fit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rigsa.errors import FileError
from rigsa.masks.storage import Mask, load_mask, pack, save_mask, unpack


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_packing_keeps_every_bit(rows: int, columns: int, seed: int) -> None:
    mask = torch.from_numpy(np.random.default_rng(seed).random((rows, columns)) < 0.5)
    bits = pack(mask)
    assert bits.dtype == torch.uint8
    assert len(bits) == -(-rows * columns // 8)
    assert torch.equal(unpack(bits, (rows, columns)), mask)


@pytest.fixture
def mask() -> Mask:
    generator = torch.Generator().manual_seed(0)
    matrices = {f"layer.{i}": torch.rand(64, 33, generator=generator) < 0.1 for i in range(3)}
    return Mask(matrices, {"rule": "random"})


def test_a_file_holds_one_bit_a_weight_and_its_provenance(mask: Mask, tmp_path) -> None:
    path = tmp_path / "mask.safetensors"
    save_mask(mask, path)
    loaded = load_mask(path)
    assert all(torch.equal(loaded[name], mask[name]) for name in mask)
    assert loaded.density == mask.density
    assert loaded.provenance == {"rule": "random"}
    assert path.stat().st_size < mask.size / 8 + 6000
    assert [p.name for p in tmp_path.iterdir()] == ["mask.safetensors"]


def test_a_truncated_file_is_named(mask: Mask, tmp_path) -> None:
    path = tmp_path / "mask.safetensors"
    save_mask(mask, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match=r"mask\.safetensors is corrupt"):
        load_mask(path)


def test_a_flipped_bit_is_noticed(mask: Mask, tmp_path) -> None:
    path = tmp_path / "mask.safetensors"
    save_mask(mask, path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FileError, match="is corrupt"):
        load_mask(path)


def test_a_missing_file_and_another_kind_of_file_are_named(tmp_path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(FileError, match="is missing"):
        load_mask(tmp_path / "mask.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="is no mask file"):
        load_mask(tmp_path / "other.safetensors")


def test_a_mask_of_another_model_is_refused(mask: Mask) -> None:
    shapes = {name: tuple(mask[name].shape) for name in mask}
    mask.check_fits(shapes, "m")
    with pytest.raises(FileError, match=r"layer\.0 is \(64, 33\) in the mask and \(64, 32\)"):
        mask.check_fits({**shapes, "layer.0": (64, 32)}, "m")
    with pytest.raises(FileError, match=r"lacks 'layer\.9'"):
        mask.check_fits({**shapes, "layer.9": (1, 1)}, "m")
