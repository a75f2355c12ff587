"""Stock tasks' rows and MNIST's pictures from outside, and subsets."""

import json
from pathlib import Path

import numpy as np
import pytest

from rigsa.errors import ConfigError, FileError
from rigsa.files import read_jsonl, write_json, write_jsonl
from rigsa.tasks.given import subset
from rigsa.tasks.job import make_task_data
from rigsa.tasks.mnist import mnist_items
from rigsa.tasks.stock import asked_split, shown_split, stock_task
from tests.hub import write_mnist, write_parquet

REAL = {
    "piqa": {"validation": "piqa/valid_with_labels.jsonl", "train": "piqa/train_with_labels.jsonl"},
    "hellaswag": {"validation": "hellaswag/hellaswag_val_1000_reconstructed.jsonl"},
    "gsm8k": {"train": "gsm8k/train.jsonl", "test": "gsm8k/test.jsonl"},
}


def fetched(folder: Path, origin: dict[str, str]) -> Path:
    """A task's folder as `rigsa fetch` leaves it, with nothing in it yet."""
    (folder / "source").mkdir(parents=True)
    write_json(folder / "source.json", origin)
    return folder


def test_lm_eval_names_repository_configuration_and_splits() -> None:
    named = {
        task: (stock_task(task)["dataset_path"], stock_task(task)["dataset_name"]) for task in REAL
    }
    assert named == {
        "piqa": ("baber/piqa", None),
        "hellaswag": ("Rowan/hellaswag", None),
        "gsm8k": ("openai/gsm8k", "main"),
    }
    assert [asked_split(task) for task in REAL] == ["validation", "validation", "test"]
    assert shown_split("gsm8k") == "train"
    with pytest.raises(ConfigError, match=r"lm-eval has no file tasks/gsm9k/gsm9k\.yaml"):
        stock_task("gsm9k")


@pytest.mark.parametrize("task", REAL)
@pytest.mark.parametrize("way", ["hub", "folder"])
def test_real_rows_come_through_unchanged(task, way, shared_data, tmp_path) -> None:
    config = stock_task(task).get("dataset_name")
    splits = {split: read_jsonl(shared_data / file) for split, file in REAL[task].items()}
    if way == "hub":
        given = fetched(tmp_path / task, {"repository": "x/y"})
        write_parquet(given / "source", config or "default", splits)
    else:
        given = fetched(tmp_path / task, {"folder": "x"})
        for split, file in REAL[task].items():
            (given / "source" / f"{split}.jsonl").symlink_to(shared_data / file)
    make_task_data({"task": task, "stock": task, "config": config}, given, given)
    for split in ("train", "validation", "test"):
        assert read_jsonl(given / f"{split}.jsonl") == splits.get(split, [])
    counts = json.loads((given / "info.json").read_text())["counts"]
    assert counts == {s: len(splits.get(s, [])) for s in ("train", "validation", "test")}


def test_the_hub_s_pictures_give_the_items_of_idx_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = {"train": rng.integers(0, 256, (1000, 28, 28), np.uint8)}
    images["test"] = rng.integers(0, 256, (30, 28, 28), np.uint8)
    labels = {split: [i % 10 for i in range(len(images[split]))] for split in images}
    given = fetched(tmp_path / "textual_mnist", {"repository": "x/y"})
    write_mnist(given / "source", images, labels)
    spec = {"task": "textual_mnist", "images": "mnist", "seed": 3, "config": "mnist"}
    make_task_data(spec, given, given)
    pairs = [(images[split], np.array(labels[split])) for split in ("train", "test")]
    wanted = mnist_items(*pairs, seed=3)
    assert len(wanted["validation"]) == 10
    for split, items in wanted.items():
        assert read_jsonl(given / f"{split}.jsonl") == items


def test_a_stock_task_without_questions_is_refused(tmp_path: Path) -> None:
    given = fetched(tmp_path / "gsm8k", {"folder": "x"})
    write_jsonl(given / "source" / "train.jsonl", [{"question": "?"}])
    spec = {"task": "gsm8k", "stock": "gsm8k", "config": "main"}
    with pytest.raises(FileError, match=r"no items of the split 'test', .* as test\.jsonl"):
        make_task_data(spec, given, given)
    (given / "source" / "test.jsonl").write_text("{")
    with pytest.raises(FileError, match=r"test\.jsonl:1 is not valid JSON .*own folder"):
        make_task_data(spec, given, given)


def test_files_that_are_no_data_set_are_named(tmp_path: Path) -> None:
    given = fetched(tmp_path / "gsm8k", {"repository": "x/y"})
    (given / "source" / "train.parquet").write_bytes(b"nonsense")
    with pytest.raises(FileError, match="cannot be read as a data set") as caught:
        make_task_data({"task": "gsm8k", "stock": "gsm8k", "config": None}, given, given)
    assert "\n" not in str(caught.value)


def test_a_subset_is_the_same_anywhere_and_no_larger_than_the_whole() -> None:
    whole = {"train": [{"index": i} for i in range(100)], "test": [{"index": i} for i in range(9)]}
    chosen = subset(whole, {"train": 10, "test": 9}, 0, "small")
    assert [item["index"] for item in chosen["train"][:3]] == [72, 52, 24]
    assert sorted(item["index"] for item in chosen["test"]) == list(range(9))
    assert subset(whole, {"train": 5}, 0, "small")["train"] == chosen["train"][:5]
    with pytest.raises(ConfigError, match=r"small\.counts\.test is 10, but there are only 9"):
        subset(whole, {"test": 10}, 0, "small")
