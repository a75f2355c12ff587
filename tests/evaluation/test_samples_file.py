"""A file of samples is read as it was written, or refused in one sentence."""

from pathlib import Path

import pandas
import pytest

from rigsa.errors import FileError
from rigsa.evaluation.samples_file import read_samples, write_samples

ROWS = [
    {
        "doc_id": item,
        "score": 1 / (item + 1),
        "response": f"It is {item}",
        "answer": "é" * item,
        "target": None if item == 3 else "\u2028",
    }
    for item in range(40)
]
REFUSED = (
    r"samples\.parquet is not the file of samples that was written \([^\n]+\); "
    r"delete it, and the next run makes it again\.$"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_samples(tmp_path / "x.samples.parquet", ROWS)
    return tmp_path / "x.samples.parquet"


def test_rows_come_back(path: Path) -> None:
    frame = read_samples(path)
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame(ROWS))
    # And in any other tool.
    pandas.testing.assert_frame_equal(pandas.read_parquet(path), frame)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"parquet is missing; the step that makes it has not run"):
        read_samples(tmp_path / "x.samples.parquet")


def test_truncation_is_said(path: Path) -> None:
    whole = path.read_bytes()
    for length in (0, 3, 11, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError, match=REFUSED):
            read_samples(path)


@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_said_or_changes_nothing(path: Path, bit: int) -> None:
    """In the header, in the pages and in the footer."""
    whole, expected = path.read_bytes(), read_samples(path)
    said = 0
    for place in range(bit, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        try:
            pandas.testing.assert_frame_equal(read_samples(path), expected, check_exact=True)
        except FileError:
            said += 1
    assert said > 100


def test_a_file_of_another_tool_is_refused(path: Path) -> None:
    pandas.DataFrame(ROWS).to_parquet(path)
    with pytest.raises(FileError, match=REFUSED):
        read_samples(path)
