"""Masks in memory (a bool matrix per module) and on disk (safetensors, one bit a weight)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rigsa.errors import FileError
from rigsa.files import whole_file

FORMAT = "rigsa.mask.1"


def pack(mask: torch.Tensor) -> torch.Tensor:
    """A bool tensor of n weights as ceil(n / 8) bytes, the first weight in the highest bit."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy().reshape(-1)))


def unpack(bits: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The inverse of `pack` for a tensor of `shape`."""
    count = int(np.prod(shape))
    return torch.from_numpy(np.unpackbits(bits.cpu().numpy(), count=count)).bool().reshape(shape)


@dataclass
class Mask:
    """Bool matrices (out_features, in_features) by module name; True marks a free weight."""

    matrices: dict[str, torch.Tensor]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, module: str) -> torch.Tensor:
        return self.matrices[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self.matrices)

    @property
    def kept(self) -> int:
        return sum(int(matrix.sum()) for matrix in self.matrices.values())

    @property
    def size(self) -> int:
        return sum(matrix.numel() for matrix in self.matrices.values())

    @property
    def density(self) -> float:
        return self.kept / self.size

    def check_fits(self, shapes: Mapping[str, tuple[int, ...]], source: Path | str) -> None:
        """Raises FileError where the modules or their shapes are not those of the model."""
        missing = sorted(set(shapes) - set(self.matrices))
        extra = sorted(set(self.matrices) - set(shapes))
        if missing or extra:
            what = (
                f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r}, which the model lacks"
            )
            raise FileError(f"{source}: the mask does not fit its model: it {what}.")
        for name, shape in shapes.items():
            found = tuple(self.matrices[name].shape)
            if found != tuple(shape):
                raise FileError(
                    f"{source}: the mask does not fit its model: {name} is {found} in the mask and "
                    f"{tuple(shape)} in the model."
                )


def save_mask(mask: Mask, path: Path) -> None:
    """Writes the mask; the metadata hold shapes, counts, density and how it was chosen."""
    metadata = {
        "format": FORMAT,
        "shapes": json.dumps({name: list(m.shape) for name, m in mask.matrices.items()}),
        "kept": str(mask.kept),
        "size": str(mask.size),
        "density": repr(mask.density),
        "provenance": json.dumps(mask.provenance, sort_keys=True),
    }
    with whole_file(path) as partial:
        save_file({name: pack(m) for name, m in mask.matrices.items()}, partial, metadata)


def load_mask(path: Path) -> Mask:
    """Raises FileError where the file is missing, truncated, changed or of another kind."""
    if not path.is_file():
        raise FileError(f"{path} is missing; the step that makes it has not run.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise FileError(f"{path} is no mask file of this program (format {FORMAT}).")
            shapes = json.loads(metadata["shapes"])
            matrices = {n: unpack(file.get_tensor(n), tuple(s)) for n, s in shapes.items()}
    except (SafetensorError, KeyError, ValueError) as error:
        raise FileError(
            f"{path} is corrupt ({error}); delete it, and the next run makes it again."
        ) from None
    mask = Mask(matrices, json.loads(metadata.get("provenance", "{}")))
    if str(mask.kept) != metadata.get("kept"):
        raise FileError(
            f"{path} is corrupt: it keeps {mask.kept} weights and says {metadata.get('kept')}; "
            "delete it, and the next run makes it again."
        )
    return mask
