"""What a job has done so far survives a failure, not a change of the job, and no second process."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rigsa.errors import FileError
from rigsa.resume.unfinished import clear_finished, set_aside, unfinished

MADE_FROM = {"settings": {"rate": 0.1}, "mask": "ab"}


def _left(folder: Path, definition=MADE_FROM) -> None:
    try:
        with unfinished(folder, definition, []) as (place, _):
            (place / "state").write_text("half")
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass


def test_it_stays_after_a_failure_and_goes_after_success(tmp_path: Path) -> None:
    folder = tmp_path / "unfinished/train"
    _left(folder)
    with unfinished(folder, MADE_FROM, []) as (place, done):
        assert (place / "state").read_text() == "half"
        assert not done
    assert not (folder / "state").exists()


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({**MADE_FROM, "mask": "cd"}, "train: begun with another mask; begins anew."),
        (
            {"settings": {"rate": 0.2}, "mask": "cd"},
            "train: begun with another mask and settings; begins anew.",
        ),
        ({"settings": MADE_FROM["settings"]}, "train: begun with another mask; begins anew."),
    ],
)
def test_a_changed_job_begins_anew_and_says_why(tmp_path, caplog, definition, said) -> None:
    _left(tmp_path / "train")
    with unfinished(tmp_path / "train", definition, []) as (place, _):
        assert not (place / "state").exists()
    assert caplog.messages == [said]


@pytest.mark.parametrize("content", ["{", None])
def test_without_a_readable_definition_nothing_is_taken_over(tmp_path, caplog, content) -> None:
    _left(tmp_path / "train")
    definition = tmp_path / "train/definition.json"
    definition.write_text(content) if content else definition.unlink()
    with unfinished(tmp_path / "train", MADE_FROM, []) as (place, _):
        assert not (place / "state").exists()
    assert caplog.messages == ["train: begun with another definition; begins anew."]


def _work(folder: Path, notes: Path) -> None:
    for _ in range(20):
        with unfinished(folder, MADE_FROM, []) as (place, _):
            (place.parent / "mine").touch(exist_ok=False)
            with open(notes, "a") as file:
                file.write("x")
            (place.parent / "mine").unlink()


def test_one_process_has_it_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    folder, notes = tmp_path / "job", tmp_path / "notes"
    workers = [context.Process(target=_work, args=(folder, notes)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert notes.read_text() == "x" * 60


def test_outputs_that_no_run_has_seen_come_back(tmp_path: Path, caplog) -> None:
    """The run died after the job, and the next one deletes what it takes for half made."""
    caplog.set_level("INFO")
    outputs = [tmp_path / "adapter", tmp_path / "training.json"]
    with unfinished(tmp_path / "job", MADE_FROM, outputs) as (place, done):
        assert not done
        (place / "state").write_text("large")
        outputs[0].mkdir()
        (outputs[0] / "weights").write_text("trained")
        outputs[1].write_text("totals")
    assert not (place / "state").exists()
    (outputs[0] / "weights").unlink()
    outputs[1].unlink()
    with unfinished(tmp_path / "job", MADE_FROM, outputs) as (_, done):
        assert done
    assert (outputs[0] / "weights").read_text() == "trained"
    assert outputs[1].read_text() == "totals"
    assert "job: was finished already." in caplog.messages
    with unfinished(tmp_path / "job", {**MADE_FROM, "mask": "cd"}, outputs) as (_, done):
        assert not done
    clear_finished(tmp_path, "other-")
    assert (tmp_path / "job").exists()
    clear_finished(tmp_path, "jo")
    assert not (tmp_path / "job").exists()
    assert outputs[1].read_text() == "totals"


def test_without_hard_links_nothing_is_left(tmp_path: Path, monkeypatch) -> None:
    def refuse(*names):
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    with unfinished(tmp_path / "job", MADE_FROM, [tmp_path / "output"]):
        (tmp_path / "output").write_text("x")
    assert not (tmp_path / "job").exists()


def test_a_second_process_finds_what_the_first_has_finished(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with ThreadPoolExecutor() as pool:
        with unfinished(tmp_path / "job", MADE_FROM, [output]):
            later = pool.submit(_is_done, tmp_path / "job", output)
            time.sleep(0.2)
            assert not later.done()
            output.write_text("x")
        assert later.result()


def _is_done(folder: Path, output: Path) -> bool:
    with unfinished(folder, MADE_FROM, [output]) as (_, done):
        return done


def test_a_corrupt_file_is_set_aside(tmp_path: Path, caplog) -> None:
    file = tmp_path / "state"
    file.write_text("bad")
    set_aside(file, FileError("state is corrupt."))
    assert caplog.messages == ["state is corrupt. It was set aside as state.corrupt."]
    assert not file.exists()
    assert (tmp_path / "state.corrupt").read_text() == "bad"
