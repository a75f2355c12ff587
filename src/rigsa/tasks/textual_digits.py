"""Textual Digits: an image as rows of digits, and the chat turns that ask which digit it shows.

Any size is rendered alike: 8×8 digits of scikit-learn and 28×28 digits of MNIST differ only in
where images, labels and their number of grey levels come from. Only the functions that lm-eval's
task files name need more than numpy.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rigsa.errors import RigsaError

QUESTION = "Which handwritten digit is this?\n"
# The assistant's turn is opened with these words; what follows must be one token, the digit.
ANSWER_OPENING = "The digit is "

SCIKIT_LEVELS, MNIST_LEVELS = 17, 256
# Every class gives the same number.
SCIKIT_HELD_OUT = {"validation": 100, "test": 400}


class ImageError(RigsaError):
    """An image, or the number of grey levels given for it, cannot be rendered."""


def render(image: np.ndarray, levels: int) -> str:
    """A line per row, ended by a newline: pixel v of 0..levels-1 becomes floor(10·v / levels).

    A 28×28 image has 812 characters, each a token of its own in SmolLM2's tokenizer (the RIGSA
    paper's Textual MNIST, arXiv 2511.01794).
    """
    pixels = np.asarray(image)
    if pixels.ndim != 2 or pixels.dtype.kind not in "iuf":
        raise ImageError(f"An image must be a table of numbers, not of shape {pixels.shape}.")
    whole = pixels.astype(np.int64)
    if (whole != pixels).any() or whole.min(initial=0) < 0 or whole.max(initial=0) >= levels:
        raise ImageError(
            f"Pixels must be integers from 0 to {levels - 1}; these are from {pixels.min()} "
            f"to {pixels.max()}."
        )
    lines = np.full((whole.shape[0], whole.shape[1] + 1), ord("\n"), dtype=np.uint8)
    lines[:, :-1] = whole * 10 // levels + ord("0")
    return lines.tobytes().decode("ascii")


def messages(doc: Mapping[str, Any]) -> list[dict[str, str]]:
    """The two chat turns of an example: the image with the question, and the right answer."""
    return [
        {"role": "user", "content": QUESTION + doc["image"]},
        {"role": "assistant", "content": f"{ANSWER_OPENING}{doc['label']}"},
    ]


def documents(
    images: np.ndarray, labels: np.ndarray, levels: int, indices: Sequence[int]
) -> list[dict[str, Any]]:
    """{"image": text, "label": digit, "index": place in the source}, in the order of `indices`."""
    return [
        {"image": render(images[i], levels), "label": int(labels[i]), "index": int(i)}
        for i in indices
    ]


def hold_out(labels: np.ndarray, counts: Mapping[str, int], seed: int) -> dict[str, list[int]]:
    """Indices of "train" and of each split in `counts`, which takes equally many of every class.

    The order comes from hashes of (seed, index): the same on any platform and with any library
    version, and mixed in classes, so that the first n of a split are a fair sample of it.
    """
    classes = sorted({int(label) for label in labels})
    order = sorted(
        range(len(labels)), key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).digest()
    )
    splits: dict[str, list[int]] = {"train": []}
    left = {name: dict.fromkeys(classes, count // len(classes)) for name, count in counts.items()}
    for index in order:
        label = int(labels[index])
        name = next((name for name, rest in left.items() if rest[label] > 0), "train")
        splits.setdefault(name, []).append(index)
        if name in left:
            left[name][label] -= 1
    for name, rest in left.items():
        if any(rest.values()) or counts[name] % len(classes):
            raise ImageError(
                f"{len(labels)} images of {len(classes)} classes cannot give {counts[name]} to "
                f"{name} in equal parts."
            )
    return splits


def scikit_digits(seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """All 1,797 images of load_digits, each once: 1,297 train, 100 validation, 400 test."""
    from sklearn.datasets import load_digits

    source = load_digits()
    splits = hold_out(source.target, SCIKIT_HELD_OUT, seed)
    return {
        name: documents(source.images, source.target, SCIKIT_LEVELS, indices)
        for name, indices in splits.items()
    }


def scikit_dataset(**_: Any) -> Any:
    """For textual_digits.yaml: the splits as a datasets.DatasetDict, held in memory."""
    from datasets import Dataset, DatasetDict

    return DatasetDict({name: Dataset.from_list(docs) for name, docs in scikit_digits().items()})


def render_mnist(dataset: Any) -> Any:
    """For textual_mnist.yaml: the hub's images as text; what is text already stays as it is."""
    from datasets import Features, Value

    if dataset.features["image"] == Value("string"):
        return dataset
    return dataset.map(
        lambda batch, indices: {
            "image": [render(np.asarray(image), MNIST_LEVELS) for image in batch["image"]],
            "label": batch["label"],
            "index": indices,
        },
        batched=True,
        with_indices=True,
        features=Features(
            {"image": Value("string"), "label": Value("int64"), "index": Value("int64")}
        ),
    )
