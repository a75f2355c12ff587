"""Beside a result stands how it was made, and no step takes an input that was made otherwise."""

import json
from pathlib import Path

import pytest

from rigsa.errors import ConfigError, FileError
from rigsa.inputs import single
from rigsa.paths import record
from rigsa.provenance import recorded
from rigsa.records import read_record
from rigsa.specs import digest

SPEC = {"kind": "model", "revision": "main"}  # of `fetch`, which no code decides


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A result with its record."""
    file = tmp_path / "made.json"
    with recorded("fetch", SPEC, [file], {}):
        file.write_text("{}")
    return file


def make(file: Path, spec: dict, source: Path) -> None:
    with recorded("fetch", spec, [file], {"source": single(source)}, threads=2):
        file.write_text("result")


def test_a_record_says_how_a_result_was_made(made: Path, tmp_path: Path) -> None:
    spec = {"inputs": {"source": digest(SPEC)}}
    make(tmp_path / "next.json", spec, made)
    found = read_record(tmp_path / "next.json")
    assert found["spec"] == spec
    assert len(found["inputs"]["source"][str(made)]) == 64
    assert found["versions"]["torch"]
    assert found["threads"] == 2
    assert found["device"].startswith("cpu")
    assert found["finished"].endswith("+00:00")


def test_an_input_that_was_made_otherwise_is_refused_in_one_sentence(made, tmp_path) -> None:
    wanted = {"inputs": {"source": digest({**SPEC, "revision": "other"})}}
    with pytest.raises(FileError) as caught:
        make(tmp_path / "next.json", wanted, made)
    message = str(caught.value)
    assert message.startswith(f"{made} was made from other settings, code or inputs")
    assert f"`rigsa why {made}` says which; delete {record(made)}" in message
    assert not (tmp_path / "next.json").exists()


def test_an_input_without_a_record_is_refused(made: Path, tmp_path: Path) -> None:
    record(made).unlink()
    with pytest.raises(FileError, match=r"provenance\.json is missing"):
        make(tmp_path / "next.json", {"inputs": {"source": "0"}}, made)
    record(made).write_text(json.dumps([]))
    with pytest.raises(FileError, match="is no record of how a result was made; delete it"):
        make(tmp_path / "next.json", {"inputs": {"source": "0"}}, made)


def test_a_spec_without_inputs_asks_for_no_check(made: Path, tmp_path: Path) -> None:
    record(made).unlink()
    make(tmp_path / "next.json", {}, made)


def test_code_that_has_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    spec = {"code": "0" * 16, "generator": "tiny_gsm"}
    with (
        pytest.raises(ConfigError, match="the code has changed since it was made; start the run"),
        recorded("task_data", spec, [tmp_path / "info.json"], {}),
    ):
        pytest.fail("The job must not begin.")


def test_what_fails_leaves_no_record(made: Path) -> None:
    with pytest.raises(ZeroDivisionError), recorded("fetch", SPEC, [made], {}):
        1 / 0  # noqa: B018
    assert not record(made).exists()
