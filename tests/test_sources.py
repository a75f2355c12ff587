"""What a study takes from outside, and folders named in config.yaml that cannot give it."""

from pathlib import Path

import pytest

from rigsa.errors import ConfigError, FileError
from rigsa.sources import check_folders, sources
from rigsa.study import load_study
from rigsa.tasks.mnist import IDX_FILES


@pytest.fixture
def paper(project_root):
    return load_study("paper")


def test_the_embedded_study_takes_nothing_from_outside(project_root) -> None:
    assert sources(load_study("embedded"), {}) == []


def test_the_paper_takes_models_and_data_from_the_hub(paper) -> None:
    found = {source.name: source.spec for source in sources(paper, {})}
    assert list(found) == [
        *("smollm2_instruct", "smollm2_instruct_4bit"),
        *("textual_mnist", "piqa", "hellaswag", "gsm8k"),
    ]
    assert found["smollm2_instruct_4bit"] == {
        "kind": "model",
        "four_bit": True,
        "repository": "unsloth/SmolLM2-1.7B-Instruct-bnb-4bit",
        "revision": "main",
    }
    assert found["gsm8k"]["repository"] == "openai/gsm8k"


def test_a_subset_takes_what_its_whole_takes(project_root) -> None:
    config = {"data_dir": {"textual_mnist": "data/mnist"}}
    (source,) = sources(load_study("mnist"), config)
    assert source.name == "textual_mnist"
    assert source.folder == Path("data/mnist")
    assert source.note == "Link the dataset textual_mnist from the folder data/mnist"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"data_dir": {"textual_mnits": "x"}}, "data_dir names 'textual_mnits', .* did you mean"),
        ({"data_dir": {"tiny_gsm": "x"}}, "data_dir names 'tiny_gsm', which comes from no folder"),
        ({"model_dir": {"smollm2": "x"}}, "model_dir names 'smollm2', .* smollm2_instruct"),
    ],
)
def test_an_unknown_name_is_said(paper, config, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        sources(paper, config)


def test_what_a_folder_lacks_is_said(paper, tmp_path: Path) -> None:
    def check(key: str, name: str, folder: Path) -> None:
        check_folders(paper, sources(paper, {key: {name: str(folder)}}))

    with pytest.raises(FileError, match=r"data_dir\.gsm8k is '.*none', which is no folder here"):
        check("data_dir", "gsm8k", tmp_path / "none")
    with pytest.raises(FileError, match=r"model_dir\.smollm2_instruct, .* is no model folder"):
        check("model_dir", "smollm2_instruct", tmp_path)
    with pytest.raises(FileError, match="has neither train-images-idx3-ubyte nor train-images"):
        check("data_dir", "textual_mnist", tmp_path)
    (tmp_path / "test.jsonl").touch()
    # GSM8k is asked with examples before the question, which come from the training split.
    with pytest.raises(FileError, match=r"train\.jsonl is missing"):
        check("data_dir", "gsm8k", tmp_path)
    (tmp_path / "train.jsonl").touch()
    check("data_dir", "gsm8k", tmp_path)
    with pytest.raises(FileError, match=r"validation\.jsonl is missing"):
        check("data_dir", "piqa", tmp_path)
    for name in (name for names in IDX_FILES.values() for name in names):
        (tmp_path / f"{name}.gz").touch()
    check("data_dir", "textual_mnist", tmp_path)
