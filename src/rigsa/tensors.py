"""Safetensors files with a checksum in their metadata: written whole, verified when they are read.

The checksum is of header and data, so that no byte of the file can change unnoticed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open

from rigsa.errors import FileError
from rigsa.files import whole_file

CHECKSUM, UNKNOWN = "sha256", "0" * 64
# Marks files that must have a checksum, so that none can lose it unnoticed.
MARK = {"rigsa": "1"}
CHUNK = 1 << 22
DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
# Name → {"dtype", "shape", "data_offsets"}, as the format has them.
Entries = Mapping[str, Mapping[str, Any]]


def entries(
    tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
) -> dict[str, dict[str, Any]]:
    """The header's entries of tensors that will be written one after the other, in this order."""
    made, offset = {}, 0
    for name, (dtype, shape) in tensors.items():
        end = offset + torch.Size(shape).numel() * dtype.itemsize
        made[name] = {
            "dtype": DTYPES[dtype],
            "shape": list(shape),
            "data_offsets": [offset, end],
        }
        offset = end
    return made


@contextmanager
def written_tensors(
    path: Path, header: Entries, room: int = 0
) -> Iterator[tuple[Callable[[Any], None], dict[str, str]]]:
    """Writes a file piece by piece; nothing is kept in memory.

    Yields a function that takes the next bytes of the data, and the metadata to fill before the
    end, for which `room` bytes are left beside what is in them at the first write.
    """
    metadata: dict[str, str] = {}
    digest = hashlib.sha256()
    start = 0
    with whole_file(path) as partial, open(partial, "wb") as file:

        def begin() -> None:
            nonlocal start
            # The format wants the data at a multiple of 8 bytes.
            start = -(-(8 + len(_header(header, metadata)) + room) // 8) * 8
            file.seek(start)

        def write(data: Any) -> None:
            if not start:
                begin()
            digest.update(data)
            file.write(data)

        yield write, metadata
        if not start:
            begin()
        text = _header(header, metadata).ljust(start - 8)
        if len(text) > start - 8:
            raise ValueError(f"The metadata of {path} are too long for their room.")
        checksum = _checksum(text, digest)
        file.seek(0)
        file.write(len(text).to_bytes(8, "little") + text.replace(UNKNOWN.encode(), checksum, 1))
        # A file without data would end before its header's padding does.
        file.truncate(max(file.seek(0, 2), start))


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes all of `tensors`, which may be on any device."""
    # The widest first, so that each begins at a multiple of its elements' size.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header = entries({name: (tensors[name].dtype, tuple(tensors[name].shape)) for name in names})
    with written_tensors(path, header) as (write, given):
        given.update(metadata or {})
        for name in names:
            flat = tensors[name].detach().contiguous().reshape(-1)
            write(memoryview(flat.cpu().view(torch.uint8).numpy()))


def add_checksum(path: Path) -> None:
    """Gives a file of another writer a checksum."""
    with open(path, "rb") as file:
        header = json.loads(_read_header(file))
        given = header.pop("__metadata__", {})
        given.pop(CHECKSUM, None)
        with written_tensors(path, header) as (write, metadata):
            metadata.update(given)
            while chunk := file.read(CHUNK):
                write(chunk)


@contextmanager
def read_tensors(path: Path) -> Iterator[Any]:
    """Yields safetensors' own reader of a file, after its checksum was found right.

    A file of another writer may have none. Raises FileError where the file is missing, truncated,
    changed or none of this format.
    """
    if not path.is_file():
        raise FileError(f"{path} is missing; the step that makes it has not run.")
    with ExitStack() as stack:
        try:
            _verify(path)
            file = stack.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, ValueError) as error:
            raise FileError(
                f"{path} is corrupt ({error}); delete it, and the next run makes it again."
            ) from None
        yield file


def _verify(path: Path) -> None:
    with open(path, "rb") as file:
        text = _read_header(file)
        metadata = json.loads(text).get("__metadata__", {})
        found = metadata.get(CHECKSUM)
        if found is None and not MARK.keys() & metadata.keys():
            return
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    blank = text.replace(str(found).encode(), UNKNOWN.encode(), 1)
    if found is None or _checksum(blank, digest).decode() != found:
        raise ValueError("its checksum does not match its content")


def _header(header: Entries, metadata: Mapping[str, str]) -> bytes:
    marked = {CHECKSUM: UNKNOWN, **MARK, **metadata}
    # The checksum is replaced where it first stands, which must be here.
    return json.dumps({"__metadata__": marked, **header}, separators=(",", ":")).encode()


def _checksum(header: bytes, data: Any) -> bytes:
    return hashlib.sha256(header + data.digest()).hexdigest().encode()


def _read_header(file: BinaryIO) -> bytes:
    size = int.from_bytes(file.read(8), "little")
    text = file.read(min(size, 100_000_000))  # The format's own limit.
    if len(text) < size:
        raise ValueError("its header is cut off")
    return text
