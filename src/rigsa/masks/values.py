"""Values of a sparse delta as they are saved: those that it has learnt, or had at some step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from rigsa.errors import FileError
from rigsa.tensors import read_tensors

Tensor = torch.Tensor


class TrainedValues:
    """Values by module, got when they are asked for.

    Args:
        get: a tensor by its name in a saved adapter; KeyError or SafetensorError without it.
        source: what the values are from, for errors.
    """

    def __init__(self, get: Callable[[str], Tensor], source: Path | str) -> None:
        self._get, self._source = get, source

    def values(self, module: str, count: int) -> Tensor:
        """One for each of the module's `count` free weights, as they are stored.

        Raises FileError where there are none for this module, or not as many.
        """
        try:
            values = self._get(f"base_model.model.{module}.sparse_delta_values")
        except (KeyError, SafetensorError):
            raise FileError(
                f"{self._source} is no adapter of this model: it lacks {module}."
            ) from None
        if values.numel() != count:
            raise FileError(
                f"{self._source}: {module} has {values.numel()} values and does not fit its mask, "
                f"which keeps {count}."
            )
        return values.view(-1)

    def gate(self, module: str) -> Tensor:
        """The module's gate, one element; FileError where it has none."""
        try:
            return self._get(f"base_model.model.{module}.sparse_delta_gate")
        except (KeyError, SafetensorError):
            raise FileError(f"{self._source} has no gate for {module}.") from None


@contextmanager
def saved_values(file: Path) -> Iterator[TrainedValues]:
    """Raises FileError where the file is missing, truncated or changed."""
    with read_tensors(file) as stored:
        yield TrainedValues(stored.get_tensor, file)
