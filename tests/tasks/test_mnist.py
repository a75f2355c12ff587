"""Textual MNIST from IDX files: every image, its label, its tokens, and files that are no good."""

import gzip
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rigsa.errors import FileError
from rigsa.tasks.mnist import IDX_FILES, mnist_items, read_idx, read_idx_folder
from rigsa.tasks.textual_digits import MNIST_LEVELS, QUESTION, messages, render

SYSTEM = (
    "<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
)


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim])
    return head + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four IDX files of 200 and 20 images, the training images gzipped."""
    rng = np.random.default_rng(0)
    for (images, labels), count in zip(IDX_FILES.values(), (200, 20), strict=True):
        pixels = rng.integers(0, 256, (count, 28, 28), np.uint8)
        (tmp_path / images).write_bytes(idx(pixels))
        (tmp_path / labels).write_bytes(idx(np.arange(count, dtype=np.uint8) % 10))
    packed = tmp_path / "train-images-idx3-ubyte"
    packed.with_name(f"{packed.name}.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    return tmp_path


def test_plain_and_gzipped_files_give_their_bytes(folder: Path) -> None:
    (images, labels), (test_images, test_labels) = read_idx_folder(folder)
    assert images.shape == (200, 28, 28)
    assert test_images.shape == (20, 28, 28)
    assert labels.tolist() == [i % 10 for i in range(200)]
    rng = np.random.default_rng(0)
    assert np.array_equal(images, rng.integers(0, 256, (200, 28, 28), np.uint8))
    items = mnist_items((images, labels), (test_images, test_labels), 0, held_out=0.1)
    assert {split: len(found) for split, found in items.items()} == {
        "train": 180,
        "validation": 20,
        "test": 20,
    }
    assert [item["index"] for item in items["test"]] == list(range(20))
    for item in items["train"]:
        assert item["image"] == render(images[item["index"]], MNIST_LEVELS)
        assert item["label"] == labels[item["index"]]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: b"\x89PNG" + data[4:], r"is no IDX file .* begins with 89504e47, which"),
        (lambda data: data[:3], "is no IDX file"),
        (lambda data: data[:-5], "has 3147 bytes where its head says 3152; copy it anew"),
        (lambda data: data + b"x", "has more bytes where its head says 3152"),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(tmp_path: Path, damage, sentence) -> None:
    path = tmp_path / "images"
    path.write_bytes(damage(idx(np.zeros((4, 28, 28), np.uint8))))
    with pytest.raises(FileError, match=sentence) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_truncated_gz_is_named(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match=r"train-images-idx3-ubyte\.gz cannot be unpacked"):
        read_idx_folder(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileError, match="has neither t10k-labels-idx1-ubyte nor t10k"):
        read_idx_folder(folder)


def test_labels_of_another_set_are_refused(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(FileError, match=r"has 20 images and .* 3 labels"):
        read_idx_folder(folder)


@pytest.fixture(scope="module")
def real(shared_data: Path):
    return read_idx_folder(shared_data / "mnist")


@pytest.fixture(scope="module")
def real_items(real):
    return mnist_items(*real, seed=0)


def test_all_70_000_images_are_28_rows_of_28_digits(real_items) -> None:
    counts = {split: len(items) for split, items in real_items.items()}
    assert counts == {"train": 59_400, "validation": 600, "test": 10_000}
    image = re.compile(r"(?:\d{28}\n){28}")
    assert all(image.fullmatch(item["image"]) for items in real_items.values() for item in items)


def test_every_image_keeps_its_label_and_place(real, real_items) -> None:
    (_, labels), (_, test_labels) = real
    learnt = real_items["train"] + real_items["validation"]
    assert sorted(item["index"] for item in learnt) == list(range(60_000))
    assert all(item["label"] == labels[item["index"]] for item in learnt)
    assert [item["label"] for item in real_items["test"]] == test_labels.tolist()
    assert set(Counter(item["label"] for item in real_items["validation"]).values()) == {60}
    # Pinned: another choice would be another experiment.
    assert [item["index"] for item in real_items["validation"][:3]] == [20015, 34125, 34409]


def test_every_image_is_812_tokens(real_items, smollm2_tokenizer) -> None:
    plain = smollm2_tokenizer.backend_tokenizer
    # One in seven: all of them take most of a minute.
    texts = [item["image"] for items in real_items.values() for item in items[::7]]
    assert len(texts) == 10_001
    encoded = plain.encode_batch_fast(texts, add_special_tokens=False)
    assert {len(tokens.ids) for tokens in encoded} == {812}


def test_the_training_text_is_what_the_template_gives(real_items, smollm2_tokenizer) -> None:
    for item in real_items["train"][:50]:
        text = smollm2_tokenizer.apply_chat_template(messages(item), tokenize=False)
        assert text == (
            f"{SYSTEM}<|im_start|>user\n{QUESTION}{item['image']}<|im_end|>\n"
            f"<|im_start|>assistant\nThe digit is {item['label']}<|im_end|>\n"
        )


@pytest.fixture(scope="module")
def smollm2_tokenizer(shared_data: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared_data / "smollm2")
