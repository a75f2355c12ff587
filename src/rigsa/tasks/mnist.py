"""MNIST as Textual MNIST: from a folder of IDX files or the hub's images to items by split."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rigsa.errors import FileError
from rigsa.tasks.textual_digits import MNIST_LEVELS, documents, hold_out

# LeCun's own names; each may be plain or gzipped (.gz).
IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
LARGEST = 1 << 28  # bytes of pixels; the training images have a fifth of it
HELD_OUT = 0.01  # share of the training images (the RIGSA paper)

Images = tuple[np.ndarray, np.ndarray]


def mnist_items(
    train: Images, test: Images, seed: int, held_out: float = HELD_OUT
) -> dict[str, list[dict[str, Any]]]:
    """Items of train, validation and test; an image's `index` is its place in its own source.

    Of 60,000 training images 600 are held out, as many of every class; the test keeps its order.
    """
    classes = len(set(train[1].tolist()))
    each = math.floor(held_out * len(train[1]) / classes)
    splits = hold_out(train[1], {"validation": each * classes}, seed)
    items = {name: documents(*train, MNIST_LEVELS, indices) for name, indices in splits.items()}
    items["test"] = documents(*test, MNIST_LEVELS, range(len(test[1])))
    return items


def idx_file(folder: Path, name: str) -> Path:
    """The file `name` of the folder, plain or gzipped; raises FileError where there is neither."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileError(f"{folder} has neither {name} nor {name}.gz; put MNIST's four IDX files there.")


def read_idx_folder(folder: Path) -> tuple[Images, Images]:
    """Images (n, rows, columns) and labels (n) of the training and of the test set."""
    train, test = (_images_and_labels(folder, split) for split in ("train", "test"))
    return train, test


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of unsigned bytes with so many dimensions; raises FileError where it is none."""
    # Two zero bytes, 8 for unsigned bytes, the number of dimensions; then each one's size.
    start = 4 + 4 * dimensions
    unpack = gzip.open if path.suffix == ".gz" else open
    try:
        with unpack(path, "rb") as file:
            head = file.read(start)
            shape = [int.from_bytes(head[at : at + 4], "big") for at in range(4, start, 4)]
            wanted = math.prod(shape)
            # A byte more than there should be, and no more: a small .gz may hold a terabyte.
            data = file.read(min(wanted, LARGEST) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be unpacked ({error}); copy it anew.") from None
    if head[:4] != bytes([0, 0, 8, dimensions]) or len(head) < start:
        raise FileError(
            f"{path} is no IDX file of unsigned bytes in {dimensions} dimensions: it begins with "
            f"{head[:4].hex()}, which should be 000008{dimensions:02x}."
        )
    if len(data) != wanted:
        found = f"{start + len(data)} bytes" if len(data) < wanted else "more bytes"
        raise FileError(f"{path} has {found} where its head says {start + wanted}; copy it anew.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def from_hub_rows(rows: Any) -> Images:
    """Images and labels of a split of ylecun/mnist (a datasets.Dataset of pictures)."""
    labels = np.asarray(rows["label"])
    images = np.stack([np.asarray(image) for image in rows["image"]])
    return images, labels


def _images_and_labels(folder: Path, split: str) -> Images:
    image_file, label_file = (idx_file(folder, name) for name in IDX_FILES[split])
    images, labels = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(images) != len(labels):
        raise FileError(
            f"{image_file} has {len(images)} images and {label_file.name} {len(labels)} labels; "
            "they are not of one set."
        )
    return images, labels
