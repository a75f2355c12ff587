"""Textual Digits: rendering of any image, and splits that take every image once."""

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rigsa.errors import RigsaError
from rigsa.tasks import textual_digits
from rigsa.tasks.textual_digits import hold_out, messages, render

TASK_FILES = Path(textual_digits.__file__).parent / "lm_eval"


@pytest.fixture(scope="module")
def smollm2_tokenizer(shared_data):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared_data / "smollm2")


@st.composite
def images(draw):
    levels = draw(st.integers(1, 300))
    shape = draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    return draw(arrays(np.int64, shape, elements=st.integers(0, levels - 1))), levels


@given(images())
def test_every_pixel_becomes_one_digit_of_its_row(case):
    image, levels = case
    text = render(image, levels)
    assert text.endswith("\n")
    rows = text.splitlines()
    assert [len(row) for row in rows] == [image.shape[1]] * image.shape[0]
    digits = np.array([[int(character) for character in row] for row in rows])
    np.testing.assert_array_equal(digits, np.floor(image * 10 / levels))


@given(st.integers(1, 300))
def test_quantisation_is_monotone_and_begins_at_zero(levels):
    digits = render(np.arange(levels)[None], levels).strip()
    assert list(digits) == sorted(digits)
    assert digits[0] == "0"
    assert levels < 10 or set(digits) == set("0123456789")


@given(images(), st.sampled_from([np.uint8, np.int32, np.float64]))
def test_the_number_type_makes_no_difference(case, dtype):
    image, levels = case
    image, levels = np.minimum(image, 255), max(levels, 256)
    assert render(image.astype(dtype), levels) == render(image, levels)


@pytest.mark.parametrize("image", [[[0, 17]], [[-1, 0]], [[0.5, 1]], [0, 1], [["a"]]])
def test_what_is_no_image_is_refused_in_one_sentence(image):
    with pytest.raises(RigsaError, match=r"^(An image|Pixels) must be"):
        render(np.array(image), 17)


def test_splits_take_every_digit_once_and_all_classes_alike():
    splits = textual_digits.scikit_digits()
    assert {name: len(docs) for name, docs in splits.items()} == {
        "train": 1297,
        "validation": 100,
        "test": 400,
    }
    indices = [doc["index"] for docs in splits.values() for doc in docs]
    assert sorted(indices) == list(range(1797))
    assert set(Counter(doc["label"] for doc in splits["test"]).values()) == {40}
    assert set(Counter(doc["label"] for doc in splits["validation"]).values()) == {10}
    # Pinned: another order on another platform would be another experiment.
    assert [doc["index"] for doc in splits["test"][:5]] == [622, 891, 656, 1778, 1724]
    # The first n of a split are a sample of all classes.
    assert len({doc["label"] for doc in splits["test"][:100]}) == 10


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(0, 3))
def test_held_out_splits_are_disjoint_complete_and_balanced(seed, classes, each):
    labels = np.arange(classes * 8) % classes
    splits = hold_out(labels, {"validation": classes, "test": classes * each}, seed)
    assert sorted(index for split in splits.values() for index in split) == list(range(len(labels)))
    assert Counter(labels[splits["validation"]]) == dict.fromkeys(range(classes), 1)
    assert len(splits.get("test", [])) == classes * each


def test_more_held_out_than_there_are_is_an_error():
    with pytest.raises(RigsaError, match="cannot give 20 to test in equal parts"):
        hold_out(np.arange(10), {"test": 20}, 0)


def test_task_file_asks_in_the_words_that_are_trained():
    config = yaml.load((TASK_FILES / "textual_digits.yaml").read_text(), Loader=_AnyFunction)
    question, answer = messages({"image": "{{image}}", "label": "{{label}}"})
    assert config["doc_to_text"] == question["content"]
    assert config["gen_prefix"] + config["doc_to_target"] == answer["content"]
    assert config["gen_prefix"] == textual_digits.ANSWER_OPENING


def test_mnist_has_812_tokens_and_the_answer_is_one_more(shared_data, smollm2_tokenizer):
    packed = (shared_data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes()
    image = np.frombuffer(gzip.decompress(packed), np.uint8)[16 : 16 + 28 * 28].reshape(28, 28)
    text = render(image, textual_digits.MNIST_LEVELS)
    tokens = smollm2_tokenizer(text).input_ids
    assert len(tokens) == 812
    assert [smollm2_tokenizer.decode([token]) for token in tokens] == list(text)
    opening = smollm2_tokenizer(textual_digits.ANSWER_OPENING).input_ids
    for label in range(10):
        whole = smollm2_tokenizer(f"{textual_digits.ANSWER_OPENING}{label}").input_ids
        assert whole[:-1] == opening


def test_hub_images_are_rendered_and_text_is_left_alone():
    datasets = pytest.importorskip("datasets")
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)}
    )
    hub = datasets.Dataset.from_dict(
        {"image": [pillow.fromarray(pixels)], "label": [7]}, features=features
    )
    rendered = textual_digits.render_mnist(hub)
    assert rendered[0] == {"image": render(pixels, 256), "label": 7, "index": 0}
    assert textual_digits.render_mnist(rendered) is rendered


class _AnyFunction(yaml.SafeLoader):
    """Reads a task file without importing what it names."""


_AnyFunction.add_constructor("!function", lambda loader, node: node.value)
