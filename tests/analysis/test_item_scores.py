"""Scores are read without the texts where the record knows the file, and never from a bad one."""

from pathlib import Path

import numpy as np
import pytest

from rigsa.analysis import item_scores
from rigsa.analysis.item_scores import read_scores
from rigsa.errors import FileError
from rigsa.files import write_json
from rigsa.hashing import file_hash
from rigsa.paths import record
from tests.analysis.made_up import write_samples

SCORES = np.array([1.0, 0.0, 1.0, 1.0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of samples beside the record of its evaluation."""
    made = tmp_path / "sums.samples.parquet"
    write_samples(made, SCORES)
    content = {"spec": {}, "files": {"results/elsewhere/sums.samples.parquet": file_hash(made)}}
    write_json(record(tmp_path / "sums.json"), content)
    return made


def test_texts_are_not_read_where_the_record_knows_the_file(path: Path, monkeypatch):
    monkeypatch.setattr(item_scores, "read_samples", None)
    found = read_scores(path)
    assert found.items.tolist() == [0, 1, 2, 3]
    assert found.scores.tolist() == SCORES.tolist()


def test_a_whole_file_that_the_record_does_not_know_is_read(path: Path):
    write_samples(path, 1 - SCORES)
    assert read_scores(path).scores.tolist() == (1 - SCORES).tolist()


def test_a_file_without_a_record_is_read(path: Path):
    record(path.with_name("sums.json")).unlink()
    assert read_scores(path).scores.tolist() == SCORES.tolist()


@pytest.mark.parametrize("end", [20, -1])
def test_a_damaged_file_is_refused(path: Path, end: int):
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(FileError, match=r"not the file of samples that was written"):
        read_scores(path)
