"""What comes from outside: hub caches, folders, and each way in which they can be wrong."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from rigsa.errors import FileError
from rigsa.fetch import fetch
from tests.conftest import make_llama
from tests.hub import HubCache

MODEL = {"kind": "model", "four_bit": False}
HUB = {**MODEL, "repository": "some/model", "revision": "main"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubCache:
    made = HubCache(tmp_path / "home")
    # The library reads the environment once, when it is imported.
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return made


def write_model(folder: Path, **shards: str) -> None:
    make_llama().save_pretrained(folder, **shards)
    (folder / "tokenizer.json").write_text("{}")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    write_model(folder)
    return folder


def change_config(folder: Path, **keys: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_a_hub_model_becomes_a_plain_folder_with_its_commit(hub: HubCache, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        write_model(folder, max_shard_size="20KB")
        (folder / "modeling.py").write_text("raise SystemExit")
        (folder / "pytorch_model.bin").write_bytes(b"pickle")
        (folder / "onnx").mkdir()
        (folder / "onnx" / "config.json").write_text("{}")

    commit = hub.add("model", "some/model", fill)
    output = tmp_path / "base_models" / "model"
    fetch(HUB, output)
    source = json.loads((output / "source.json").read_text())
    assert (source["repository"], source["revision"]) == ("some/model", "main")
    assert source["commit"] == commit
    assert set(source["files"]) == {path.name for path in output.iterdir()} - {"source.json"}
    assert all((output / name).stat().st_size == size for name, size in source["files"].items())
    assert sum(name.endswith(".safetensors") for name in source["files"]) > 1
    assert not {"modeling.py", "pytorch_model.bin", "onnx"} & set(source["files"])

    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(output)


def test_a_folder_is_linked_not_copied(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "old.safetensors").symlink_to(tmp_path)
    fetch({**MODEL, "folder": str(model)}, output)
    assert (output / "model.safetensors").resolve() == model / "model.safetensors"
    assert not (output / "old.safetensors").is_symlink()
    source = json.loads((output / "source.json").read_text())
    assert source["folder"] == str(model)
    assert source["files"]["config.json"] == (model / "config.json").stat().st_size


def test_a_dataset_keeps_its_folders(hub: HubCache, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "main").mkdir()
        (folder / "main" / "train.parquet").write_bytes(b"x")
        (folder / "script.py").write_text("")

    hub.add("dataset", "some/data", fill)
    fetch({"kind": "dataset", "repository": "some/data", "revision": "main"}, tmp_path / "t")
    assert (tmp_path / "t" / "source" / "main" / "train.parquet").read_bytes() == b"x"
    assert json.loads((tmp_path / "t" / "source.json").read_text())["files"] == {
        "main/train.parquet": 1
    }


@pytest.mark.parametrize(
    ("repository", "revision"), [("no/such", "main"), ("some/model", "v9"), ("no such", "main")]
)
def test_what_is_not_in_the_cache_is_named(hub, tmp_path, repository, revision) -> None:
    hub.add("model", "some/model", write_model)
    with pytest.raises(FileError) as caught:
        fetch({**HUB, "repository": repository, "revision": revision}, tmp_path / "out")
    sentence = str(caught.value)
    assert f"model {repository} at revision '{revision}'" in sentence
    assert "\n" not in sentence
    assert not (tmp_path / "out" / "source.json").exists()


def test_pickles_are_never_read(hub: HubCache, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        write_model(folder)
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    hub.add("model", "some/model", fill)
    with pytest.raises(FileError, match=r"^some/model has no \.safetensors weights, and pickled"):
        fetch(HUB, tmp_path / "out")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "config.json").unlink(), "is no model folder: it has no config.json"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer"),
        (lambda f: (f / "config.json").write_text("{"), "is not valid JSON"),
        (lambda f: change_config(f, auto_map={}), "needs code of its own"),
        (lambda f: change_config(f, quantization_config={"load_in_4bit": True}), "is quantised"),
        (
            lambda f: (f / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "model-00002-of-00002.safetensors"}}'
            ),
            "lacks its weights model-00002-of-00002.safetensors",
        ),
    ],
)
def test_what_is_wrong_with_a_model_folder_is_said(model, tmp_path, damage, sentence) -> None:
    damage(model)
    with pytest.raises(FileError, match=sentence) as caught:
        fetch({**MODEL, "folder": str(model)}, tmp_path / "out")
    assert str(model) in str(caught.value)


def test_a_plain_model_is_not_taken_for_a_4_bit_one(model, tmp_path) -> None:
    with pytest.raises(FileError, match=r"is no 4-bit model: its config\.json has no quant"):
        fetch({**MODEL, "four_bit": True, "folder": str(model)}, tmp_path / "out")


def test_a_folder_without_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="has no data files"):
        fetch({"kind": "dataset", "folder": str(tmp_path / "empty")}, tmp_path / "out")
    shutil.rmtree(tmp_path / "empty")
