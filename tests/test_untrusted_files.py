"""Files from outside: each that is not what it should be is one sentence, and none is run."""

import gzip
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from rigsa import hub
from rigsa.adapters.build import build_adapter
from rigsa.errors import FileError
from rigsa.fetch import fetch
from rigsa.files import read_json, read_jsonl, read_object, write_json
from rigsa.machine import Machine
from rigsa.masks.storage import FORMAT, load_mask
from rigsa.models.folder import INDEX
from rigsa.models.loading import load_adapter, load_base, load_tokenizer
from rigsa.models.shapes import adapted_shapes
from rigsa.tasks.job import make_task_data
from rigsa.tasks.mnist import read_idx
from tests.conftest import make_llama
from tests.hub import README, HubCache


class Harm:
    """Unpickled, it leaves a file."""

    def __reduce__(self):
        return (os.mkdir, ("pwned",))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield
    assert not list(tmp_path.rglob("pwned"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    make_llama().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    return tmp_path / "model"


def change(path: Path, **keys: object) -> None:
    write_json(path, (json.loads(path.read_text()) if path.is_file() else {}) | keys)


def fetched(model: Path, tmp_path: Path) -> None:
    fetch({"kind": "model", "four_bit": False, "folder": str(model)}, tmp_path / "out")


def test_pickled_weights_are_never_read(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Harm()))
    for read in (lambda: fetched(model, tmp_path), lambda: load_base(model, Machine())):
        with pytest.raises(FileError, match=r"and pickled ones \(\.bin, \.pt\) are never read"):
            read()


@pytest.mark.parametrize(
    "shards",
    [
        {"a": "pytorch_model.bin"},
        {"a": "../../elsewhere.safetensors"},
        {"a": "/elsewhere.safetensors"},
        {"a": 3},
        ["model.safetensors"],
        None,
    ],
)
def test_an_index_names_safetensors_beside_it(model: Path, tmp_path: Path, shards) -> None:
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Harm()))
    write_json(model / INDEX, {"weight_map": shards})
    for read in (lambda: fetched(model, tmp_path), lambda: load_base(model, Machine())):
        with pytest.raises(FileError, match=r"names other things than \.safetensors files beside"):
            read()


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_a_repository_is_never_run(model: Path, tmp_path: Path, file: str) -> None:
    (model / "harm.py").write_text("import os\nos.mkdir('pwned')\n")
    names = ("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer")
    change(model / file, auto_map=dict.fromkeys(names, "harm.Harm"), model_type="harm")
    with pytest.raises(FileError, match=rf"needs code of its own \(auto_map in {file}\)"):
        fetched(model, tmp_path)
    with pytest.raises(FileError, match="needs code of its own"):
        load_base(model, Machine())
    # Behind that check transformers itself is told to run none, and asks nobody.
    with pytest.raises(FileError, match="cannot be read as a tokenizer"):
        load_tokenizer(model)
    if file == "config.json":
        with pytest.raises(ValueError, match="trust_remote_code"):
            adapted_shapes(model)


def test_a_folder_that_is_not_here_is_no_name_on_the_hub() -> None:
    for read in (load_tokenizer, adapted_shapes):
        with pytest.raises(FileError, match="gpt2 is no model folder: there is no such folder"):
            read(Path("gpt2"))


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 10) + b"{" * 10,
        struct.pack("<Q", 80)
        + b'{"a":{"dtype":"F32","shape":[9999999999,9],"data_offsets":[0,359999999964]}}'.ljust(80),
    ],
    ids=["a huge header", "no JSON", "a huge tensor"],
)
def test_a_safetensors_header_that_lies_is_a_sentence(model: Path, header: bytes) -> None:
    (model / "model.safetensors").write_bytes(header)
    with pytest.raises(FileError, match="cannot be read as a model"):
        load_base(model, Machine())
    Path("mask.safetensors").write_bytes(header)
    with pytest.raises(FileError, match="is corrupt"):
        load_mask(Path("mask.safetensors"))


@pytest.mark.parametrize("shapes", ["[1]", "nonsense", '{"a": 3}', '{"a": [99999999999, 9]}'])
def test_what_a_mask_says_of_itself_is_not_believed(shapes: str) -> None:
    path = Path("mask.safetensors")
    said = {"format": FORMAT, "kept": "1", "shapes": shapes}
    save_file({"a": torch.zeros(2, dtype=torch.uint8)}, path, said)
    with pytest.raises(FileError, match="is corrupt"):
        load_mask(path)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    adapted = build_adapter(make_llama(), {"type": "lora", "r": 2, "lora_alpha": 4}, 0, None)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_pickled_adapter_is_never_read(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(FileError, match=r"has no adapter_model\.safetensors, and pickled weights"):
        load_adapter(make_llama(), adapter)


@pytest.mark.parametrize("kind", ["MULTITASK_PROMPT_TUNING", "XLORA", "lora2", None])
def test_an_adapter_of_another_kind_is_refused(adapter: Path, kind: str | None) -> None:
    change(adapter / "adapter_config.json", peft_type=kind)
    with pytest.raises(
        FileError, match=r"peft_type is .*(; there|\? There) are: .*LORA, .*SPARSE_DELTA"
    ):
        load_adapter(make_llama(), adapter)


def stock(tmp_path: Path, readme: str | None = None, **files: bytes) -> None:
    source = tmp_path / "task" / "source"
    source.mkdir(parents=True, exist_ok=True)
    write_json(tmp_path / "task" / "source.json", {"repository": "x/y"})
    if readme is not None:
        (source / "README.md").write_text(readme)
    for name, content in files.items():
        (source / name.replace("_", ".")).write_bytes(content)
    spec = {"task": "gsm8k", "stock": "gsm8k", "config": None}
    make_task_data(spec, tmp_path / "task", tmp_path / "task")


@pytest.mark.parametrize(
    "name",
    ["../secret.jsonl", "{folder}/secret.jsonl", "~/x.jsonl", "https://x.y/z.jsonl", "a::b"],
)
def test_a_readme_names_no_file_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "secret.jsonl").write_text('{"secret": 1}\n')
    name = name.replace("{folder}", str(tmp_path / "task"))
    readme = README.format(config="default", files=f"  - split: test\n    path: {name}")
    with pytest.raises(FileError, match=r"README\.md names data outside of its folder"):
        stock(tmp_path, readme)


@pytest.mark.parametrize("front", ["a: [", "a: &a [*a]\nconfigs: *a", "a: !!python/object:x.Y {}"])
def test_a_readme_without_readable_front_matter_is_named(tmp_path: Path, front: str) -> None:
    with pytest.raises(FileError, match=r"README|cannot be read as a data set"):
        stock(tmp_path, f"---\n{front}\n---\n", test_jsonl=b"x")


def test_a_data_set_with_a_script_is_refused_and_its_script_not_run(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read as a data set"):
        stock(tmp_path, None, source_py=b"import os\nos.mkdir('pwned')\n")


def test_a_repository_writes_nothing_outside(tmp_path: Path, monkeypatch) -> None:
    made = HubCache(tmp_path / "home")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    made.add("dataset", "some/data", lambda folder: (folder / "a.jsonl").write_text("{}\n"))
    (snapshot,) = (made.home / "hub").glob("*/snapshots/*")
    # What a file list with ../ in it would have left in the cache.
    (snapshot.parent / "pwned_not.jsonl").write_text("{}\n")
    (snapshot / "out").symlink_to(snapshot.parent)
    before = set(tmp_path.rglob("*"))
    spec = {"kind": "dataset", "repository": "some/data", "revision": "main"}
    fetch(spec, tmp_path / "results" / "tasks" / "t")
    written = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "results") for path in written)
    assert set(read_json(tmp_path / "results/tasks/t/source.json")["files"]) == {"a.jsonl"}


def test_a_file_list_that_leads_outside_is_a_sentence(monkeypatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise ValueError("Invalid pointer path: cannot create pointer path in ../../x.")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(FileError, match=r"some/data .* cannot be downloaded \(Invalid point"):
        fetch({"kind": "dataset", "repository": "some/data", "revision": "main"}, tmp_path / "t")


@pytest.mark.parametrize(
    ("sizes", "packed"),
    [((2**32 - 1, 2**32 - 1, 2**32 - 1), False), ((1, 28, 28), True)],
    ids=["dimensions beyond any memory", "a .gz of many gigabytes"],
)
def test_an_idx_file_is_read_no_further_than_it_may_go(sizes, packed) -> None:
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", *sizes)
    path = Path("images.gz" if packed else "images")
    body = bytes(10_000_000)
    path.write_bytes(gzip.compress(head + body) if packed else head + body[:1000])
    with pytest.raises(FileError, match="bytes where its head says"):
        read_idx(path, 3)


def test_arrays_of_objects_are_never_loaded() -> None:
    """No step takes .npy or .npz files; numpy itself refuses, and test_security looks for it."""
    np.save("x.npy", np.array([Harm()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        np.load("x.npy")


@pytest.mark.parametrize("text", ["[" * 100_000, "\xff", "{"])
def test_json_that_is_none_is_a_sentence(text: str) -> None:
    Path("x.json").write_bytes(text.encode("latin-1"))
    for read in (read_json, read_jsonl):
        with pytest.raises(FileError, match=r"x\.json"):
            read(Path("x.json"))


def test_rows_and_settings_are_objects() -> None:
    Path("x.json").write_text("[1]")
    with pytest.raises(FileError, match=r"x\.json is not a JSON object"):
        read_object(Path("x.json"))
    with pytest.raises(FileError, match=r"x\.json:1 is not valid JSON \(it is no object\)"):
        read_jsonl(Path("x.json"))
