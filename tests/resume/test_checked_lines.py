"""Lines of killed processes: what is intact is found again, and what is not is left out."""

import os
from pathlib import Path

import pytest

from rigsa.resume.checked_lines import CheckedLines

VALUES = [{"a": 0.1}, {"a": -1e-300, "b": "ü\n"}, {"a": float("-inf")}, [1 / 3, True, None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with CheckedLines(tmp_path / "answers.jsonl") as lines:
        for value in VALUES:
            lines.append(value)
    return tmp_path / "answers.jsonl"


def _found(path: Path) -> list:
    with CheckedLines(path) as lines:
        return lines.found


def test_values_come_back_exactly(path: Path) -> None:
    assert _found(path) == VALUES
    assert len(path.read_bytes().splitlines()) == len(VALUES)


def test_a_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    with CheckedLines(tmp_path / "lines") as lines:
        lines.append(1)
        assert _found(tmp_path / "lines") == [1]


def test_a_cut_off_last_line_is_dropped_silently(path: Path, caplog) -> None:
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        with CheckedLines(path) as lines:
            assert lines.found == VALUES[:-1]
            lines.append("next")
        assert _found(path) == [*VALUES[:-1], "next"]
    assert not caplog.records


def test_every_flipped_bit_costs_its_line_and_is_said_once(path: Path, caplog) -> None:
    whole = path.read_bytes()
    for place in range(len(whole) - 1):
        caplog.clear()
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        )
        # A flipped end of a line costs the lines on both sides.
        at, ends = whole.count(b"\n", 0, place), whole[place] == ord("\n")
        assert _found(path) == VALUES[:at] + VALUES[at + 1 + ends :]
        (said,) = caplog.messages
        assert str(path) in said
        # The file is whole again.
        assert _found(path) == VALUES[:at] + VALUES[at + 1 + ends :]
        assert len(caplog.messages) == 1


def test_the_disk_is_waited_for_every_few_seconds(path: Path, monkeypatch) -> None:
    now, synced = [0.0], []
    monkeypatch.setattr("rigsa.resume.checked_lines.time.monotonic", lambda: now[0])
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(now[0]))
    with CheckedLines(path) as lines:
        for now[0] in range(20):
            lines.append(0)
    assert synced == [6, 12, 18]
