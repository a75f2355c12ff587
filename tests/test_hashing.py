"""Hashes of inputs: another bit is another hash, and what only tells about a model is left out."""

import hashlib
import json
from pathlib import Path

import pytest

from rigsa.errors import FileError
from rigsa.hashing import file_hash
from rigsa.models.identity import identity


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "weights").write_bytes(content)
    assert file_hash(tmp_path / "weights") == hashlib.sha256(content).hexdigest()
    with pytest.raises(FileError, match=r"nothing is missing; the step that makes it has not run"):
        file_hash(tmp_path / "nothing")


def test_a_folder_is_its_weights_and_settings(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json", "training.json", "notes.md"):
        (tmp_path / name).write_text("{}")
    before = identity(tmp_path)
    assert sorted(before) == ["config.json", "model.safetensors"]
    (tmp_path / "training.json").write_text('{"seconds": 3}')
    assert identity(tmp_path) == before
    (tmp_path / "model.safetensors").write_text("[]")
    assert identity(tmp_path) != before


def test_a_fetched_model_is_its_commit_and_a_linked_folder_its_files(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("{}")
    source = {"repository": "a/b", "commit": "c0ffee"}
    (tmp_path / "source.json").write_text(json.dumps(source))
    assert identity(tmp_path) == source
    (tmp_path / "source.json").write_text('{"folder": "/models/b"}')
    assert list(identity(tmp_path)) == ["model.safetensors"]
