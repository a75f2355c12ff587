"""Masks in memory and on disk: one bit a weight, packed; files are safetensors."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from rigsa.errors import FileError
from rigsa.tensors import entries, read_tensors, written_tensors

FORMAT = "rigsa.mask.1"
PROVENANCE_ROOM = 4096
Shapes = Mapping[str, tuple[int, ...]]


def pack(mask: torch.Tensor) -> torch.Tensor:
    """A bool tensor of n weights as ceil(n / 8) bytes, the first weight in the highest bit."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy().reshape(-1)))


def unpack(bits: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The inverse of `pack` for a tensor of `shape`."""
    count = int(np.prod(shape))
    unpacked = np.unpackbits(bits.cpu().numpy(), count=count)
    return torch.from_numpy(unpacked.view(np.bool_)).reshape(shape)


def kept_places(bits: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """int64 row-major places of the kept weights, ascending."""
    return unpack(bits, shape).reshape(-1).nonzero().squeeze(1)


def pack_places(places: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The inverse of `kept_places`."""
    kept = torch.zeros(int(np.prod(shape)), dtype=torch.bool)
    kept[places.cpu()] = True
    return pack(kept)


def count(bits: torch.Tensor) -> int:
    """How many weights are kept."""
    return int(np.bitwise_count(bits.cpu().numpy()).sum(dtype=np.int64))


class Mask:
    """Bool matrices (out_features, in_features) by module name; True marks a free weight.

    Attributes:
        bits: the packed matrices.
        shapes: their shapes.
        provenance: how the mask was chosen.
    """

    def __init__(
        self, matrices: Mapping[str, torch.Tensor], provenance: Mapping[str, Any] | None = None
    ) -> None:
        self.bits = {name: pack(matrix) for name, matrix in matrices.items()}
        self.shapes = {name: tuple(matrix.shape) for name, matrix in matrices.items()}
        self.provenance = dict(provenance or {})

    def __getitem__(self, module: str) -> torch.Tensor:
        return unpack(self.bits[module], self.shapes[module])

    def __iter__(self) -> Iterator[str]:
        return iter(self.bits)

    @property
    def kept(self) -> int:
        return sum(count(bits) for bits in self.bits.values())

    @property
    def size(self) -> int:
        return total(self.shapes)

    @property
    def density(self) -> float:
        return self.kept / self.size

    def check_fits(self, shapes: Shapes, source: Path | str) -> None:
        """Raises FileError where the modules or their shapes are not those of the model."""
        check_fits(self.shapes, shapes, source)


def total(shapes: Shapes) -> int:
    """Weights of all matrices together."""
    return sum(int(np.prod(shape)) for shape in shapes.values())


def check_fits(found: Shapes, model: Shapes, source: Path | str) -> None:
    """Raises FileError where the modules or shapes of a mask are not those of the model."""
    missing = sorted(set(model) - set(found))
    extra = sorted(set(found) - set(model))
    if missing or extra:
        what = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r}, which the model lacks"
        raise FileError(f"{source}: the mask does not fit its model: it {what}.")
    for name, shape in model.items():
        if tuple(found[name]) != tuple(shape):
            raise FileError(
                f"{source}: the mask does not fit its model: {name} is {tuple(found[name])} in the "
                f"mask and {tuple(shape)} in the model."
            )


def save_mask(mask: Mask, path: Path) -> None:
    """Writes the mask; the metadata hold shapes, counts, density and how it was chosen."""
    with written_mask(path, mask.shapes) as (write, provenance):
        provenance.update(mask.provenance)
        for bits in mask.bits.values():
            write(bits)


@contextmanager
def written_mask(
    path: Path, shapes: Shapes
) -> Iterator[tuple[Callable[[torch.Tensor], None], dict[str, Any]]]:
    """Writes a mask file matrix by matrix.

    Yields a function that takes the packed bits of the next matrix, in the order of `shapes`, and a
    dictionary to fill with the provenance before the end. Nothing is kept in memory.
    """
    provenance: dict[str, Any] = {}
    kept = 0
    packed = {name: (torch.uint8, (-(-int(np.prod(s)) // 8),)) for name, s in shapes.items()}
    with written_tensors(path, entries(packed), PROVENANCE_ROOM) as (write_data, metadata):
        metadata["format"] = FORMAT
        metadata["shapes"] = json.dumps({name: list(shape) for name, shape in shapes.items()})

        def write(bits: torch.Tensor) -> None:
            nonlocal kept
            kept += count(bits)
            write_data(memoryview(bits.cpu().numpy()))

        yield write, provenance
        metadata["kept"] = str(kept)
        metadata["size"] = str(total(shapes))
        metadata["density"] = repr(kept / total(shapes))
        metadata["provenance"] = json.dumps(provenance, sort_keys=True)


class StoredMask:
    """A mask file whose matrices are read when they are asked for."""

    def __init__(self, file: Any, path: Path) -> None:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise FileError(f"{path} is no mask file of this program (format {FORMAT}).")
        self._file = file
        self.kept = int(metadata["kept"])
        self.shapes = {n: tuple(s) for n, s in json.loads(metadata["shapes"]).items()}
        self.provenance = json.loads(metadata.get("provenance", "{}"))
        for name, shape in self.shapes.items():
            if file.get_slice(name).get_shape() != [-(-math.prod(shape) // 8)]:
                raise ValueError(f"{name} has not one bit for each of {shape} weights")

    def bits(self, module: str) -> torch.Tensor:
        return self._file.get_tensor(module)


@contextmanager
def stored_mask(path: Path) -> Iterator[StoredMask]:
    """Raises FileError where the file is missing, truncated or of another kind."""
    with read_tensors(path) as file:
        try:
            stored = StoredMask(file, path)
        except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise FileError(
                f"{path} is corrupt ({error}); delete it, and the next run makes it again."
            ) from None
        yield stored


def load_mask(path: Path) -> Mask:
    """Raises FileError where the file is missing, truncated, changed or of another kind."""
    mask = Mask({})
    with stored_mask(path) as stored:
        mask.shapes, mask.provenance = stored.shapes, stored.provenance
        mask.bits = {name: stored.bits(name) for name in stored.shapes}
    return mask
