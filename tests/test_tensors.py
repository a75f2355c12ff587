"""Safetensors with a checksum: others can read them, and no byte changes unnoticed."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rigsa.errors import FileError
from rigsa.tensors import DTYPES, add_checksum, read_tensors, write_tensors


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {
        str(dtype): torch.randint(0, 2, (3, 5), generator=generator).to(dtype) for dtype in DTYPES
    }
    return {**made, "scalar": torch.tensor(1.5), "empty": torch.zeros(0, 4), "odd": made[
        "torch.float32"].T}  # fmt: skip


def _same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].dtype == wanted[name].dtype
        and found[name].shape == wanted[name].shape
        and torch.equal(found[name].float(), wanted[name].float())
        for name in wanted
    )


def test_the_library_reads_what_is_written(tensors, tmp_path) -> None:
    path = tmp_path / "some.safetensors"
    write_tensors(path, tensors, {"format": "pt", "said": "ö\n"})
    assert _same(load_file(path), tensors)
    with safe_open(path, "pt") as file:
        assert file.metadata()["said"] == "ö\n"
    with read_tensors(path) as file:
        assert torch.equal(file.get_tensor("odd"), tensors["odd"])


def test_nothing_to_write_is_a_file_too(tmp_path) -> None:
    write_tensors(tmp_path / "none", {})
    with read_tensors(tmp_path / "none") as file:
        assert list(file.keys()) == []


def test_a_file_of_another_writer_gets_a_checksum(tensors, tmp_path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, {"a": "b"})
    with read_tensors(path):  # None is asked of it before.
        pass
    for _ in range(2):
        add_checksum(path)
        assert _same(load_file(path), tensors)
    with read_tensors(path) as file:
        assert file.metadata()["a"] == "b"
    _flip(path, path.stat().st_size - 1, 0)
    with pytest.raises(FileError), read_tensors(path):
        pass


def _flip(path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_every_flipped_bit_is_noticed(tmp_path) -> None:
    path = tmp_path / "some.safetensors"
    write_tensors(path, {"a": torch.arange(4)}, {"density": "0.03"})
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in (0, 3, 7):
            path.write_bytes(whole)
            _flip(path, place, bit)
            with (
                pytest.raises(FileError, match=r"some\.safetensors is corrupt \("),
                read_tensors(path),
            ):
                pass


def test_every_truncation_is_noticed(tmp_path) -> None:
    path = tmp_path / "some.safetensors"
    write_tensors(path, {"a": torch.arange(4)})
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 60, dtype=int):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError, match="is corrupt"), read_tensors(path):
            pass


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileError, match="is missing"), read_tensors(tmp_path / "none"):
        pass
