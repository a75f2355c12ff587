"""Items and their lengths: the catalogue's figures, and those of data that are there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rigsa.errors import ConfigError
from rigsa.forecast.sizes import counted_prompt, task_size
from rigsa.paths import ResultPaths
from rigsa.study import Benchmark, load_study
from rigsa.tasks.textual_digits import scikit_digits
from tests.forecast.paper import LENGTHS, paper


def test_the_catalogue_before_there_are_data(tmp_path: Path) -> None:
    size = task_size(paper(), ResultPaths(tmp_path, "paper"), "gsm8k")
    assert (size.test, size.new_tokens, size.choices) == (1_319, 256, 0)
    items, tokens = size.asked(Benchmark("gsm8k", "gsm8k", 5, limit=100))
    assert (items, tokens) == (100, 67 + 5 * (67 + 127))


def test_counts_of_made_data_go_before_the_catalogue(tmp_path: Path) -> None:
    paths = ResultPaths(tmp_path, "paper")
    paths.task("piqa").mkdir(parents=True)
    (paths.task("piqa") / "info.json").write_text(json.dumps({"counts": {"validation": 7}}))
    study = paper()
    entries = {**study.task_entries, "piqa": {"forecast": {"prompt": 9, "answer": 3, "choices": 2}}}
    assert task_size(replace(study, task_entries=entries), paths, "piqa").test == 7


def test_a_task_of_unknown_length_is_named(tmp_path: Path) -> None:
    study = replace(paper(), task_entries={"piqa": {}})
    with pytest.raises(ConfigError, match=r"tasks\.yaml: piqa lacks the key 'forecast'"):
        task_size(study, ResultPaths(tmp_path, "paper"), "piqa")
    study = replace(paper(), task_entries={"piqa": {"forecast": {"prompt": 1, "answer": 1}}})
    with pytest.raises(ConfigError, match=r"add piqa\.forecast\.items\.test"):
        task_size(study, ResultPaths(tmp_path, "paper"), "piqa")


def test_the_target_task_is_counted_as_training_sees_it(shared_data: Path, tmp_path: Path) -> None:
    """853 tokens of a 28×28 image with SmolLM2's tokenizer, chat and question around it."""
    image = ("0" * 28 + "\n") * 28
    (tmp_path / "train.jsonl").write_text(json.dumps({"image": image, "label": 1}) + "\n")
    tokens = counted_prompt(shared_data / "smollm2", tmp_path)
    assert tokens == LENGTHS["textual_mnist"]["prompt"]
    assert counted_prompt(tmp_path, tmp_path) is None


def test_the_catalogue_knows_the_embedded_images(project_root: Path) -> None:
    given = load_study("embedded").task_entries["textual_digits"]["forecast"]["items"]
    splits = scikit_digits()
    assert {split: len(splits[split]) for split in given} == given
