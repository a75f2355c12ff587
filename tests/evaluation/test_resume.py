"""A stopped evaluation goes on with what was answered, and ends in the same bytes."""

from pathlib import Path

import pytest
import torch

from rigsa.evaluation import language_model
from rigsa.evaluation.batching import BatchSize
from rigsa.evaluation.evaluate import evaluate
from rigsa.evaluation.kept_answers import ANSWERS, kept_answers
from rigsa.evaluation.results import write_evaluation
from rigsa.files import read_json
from rigsa.resume.unfinished import clear_finished

# Choices, one token, many tokens.
TASKS = ("tiny_hellaswag", "textual_digits", "tiny_gsm")


class Asked:
    """One evaluation of the tiny model that may stop: its forward passes, and what it wrote."""

    def __init__(self, model, tokenizer, files, folder: Path) -> None:
        self.model, self.tokenizer, self.files = model, tokenizer, files
        self.kept, self.folder = folder / "unfinished", folder
        self.passes: list[int] = []  # at each, the batches that were kept by then
        self.forward, self.stop, self.rows_that_fit = model.forward, None, lambda batches: 1000
        self.refused = 0

    def limited(self, input_ids=None, **kwargs):
        if len(self.passes) == self.stop:
            raise KeyboardInterrupt
        if len(input_ids) > self.rows_that_fit(self.batches):
            self.refused += 1
            raise torch.OutOfMemoryError
        self.passes.append(self.batches)
        return self.forward(input_ids=input_ids, **kwargs)

    @property
    def answers(self) -> Path:
        return self.kept / ANSWERS

    @property
    def batches(self) -> int:
        return self.answers.read_bytes().count(b"\n") if self.answers.exists() else 0

    def run(self, task: str, stop: int | None = None, size: int = 4, keep: bool = True):
        """The bytes of the samples, and the scores without what depends on the time."""
        self.passes, self.refused, self.stop = [], 0, stop
        settings = {"fewshot": 1, "limit": 18, "sampler": "first_n", "batch_size": BatchSize(size)}
        if keep:
            with kept_answers(self.kept, task, {"task": task}, []) as kept:
                found = self._evaluate(task, settings | {"kept": kept})
            clear_finished(self.kept.parent, self.kept.name)
        else:
            found = self._evaluate(task, settings)
        scores, samples = self.folder / "x.json", self.folder / "x.samples.parquet"
        write_evaluation(found, "x", {}, scores, samples)
        return samples.read_bytes(), read_json(scores) | {"seconds": None}

    def stopped(self, task: str, stop: int, **settings) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.run(task, stop, **settings)

    def _evaluate(self, task, settings):
        return evaluate(self.model, self.tokenizer, task, self.files[task], **settings)


@pytest.fixture
def asked(tiny, data_files, tmp_path, monkeypatch) -> Asked:
    made = Asked(*tiny, data_files, tmp_path)
    monkeypatch.setattr(made.model, "forward", made.limited)
    return made


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_what_was_answered_is_not_asked_again(asked, caplog, monkeypatch, task, shared) -> None:
    if not shared:
        monkeypatch.setattr(language_model, "SHORTEST", 10**6)
    caplog.set_level("INFO", "rigsa")
    expected = asked.run(task, keep=False)
    assert asked.run(task) == expected
    undisturbed = asked.passes
    assert not caplog.messages
    for stop in (1, len(undisturbed) // 2, len(undisturbed) - 1):
        asked.stopped(task, stop)
        kept = asked.batches
        # And once more, before it comes further.
        asked.stopped(task, 0)
        assert asked.batches == kept
        caplog.clear()
        assert asked.run(task) == expected
        left = sum(batches >= kept for batches in undisturbed[shared:])
        assert len(asked.passes) == left + shared
        said = [m for m in caplog.messages if "were kept; going on." in m]
        assert len(said) == bool(kept)
        assert not asked.answers.exists()
    assert said[0].startswith(f"{task}: {4 * kept} of ")


@pytest.mark.parametrize(("task", "later"), [("tiny_hellaswag", 4), ("tiny_gsm", 1)])
def test_batches_are_cut_as_memory_allowed_at_the_time(asked, task, later) -> None:
    """Memory runs out at first, and once more after two batches of what fitted."""
    asked.rows_that_fit = lambda batches: 9 if batches < 2 else later
    expected = asked.run(task, size=16)
    assert asked.refused == 2
    undisturbed = asked.passes
    for stop in range(1, len(undisturbed), len(undisturbed) // 6):
        asked.stopped(task, stop, size=16)
        kept = asked.batches
        assert asked.run(task, size=16) == expected
        # What fits is found by whoever needs it first, and by nobody after.
        assert asked.refused == (kept < 3) + (kept == 0)


@pytest.mark.parametrize("task", ["tiny_hellaswag", "tiny_gsm"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_answers_are_asked_again(asked, caplog, task, damage) -> None:
    expected = asked.run(task)
    undisturbed = asked.passes
    asked.stopped(task, len(undisturbed) * 3 // 4)
    kept = asked.batches
    content = bytearray(asked.answers.read_bytes())
    if damage == "cut":
        lost = kept - 1
        del content[-10:]
    else:
        lost = 1
        content[content.index(b"\n") + 60] ^= 4
    asked.answers.write_bytes(content)
    caplog.clear()
    assert asked.run(task) == expected
    again = sum(batches >= kept or batches == lost for batches in undisturbed[1:])
    assert len(asked.passes) == 1 + again
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == (damage == "flipped")
    assert all(str(asked.answers) in text for text in said)


def test_answers_to_other_requests_are_not_taken_over(asked) -> None:
    """Where a task draws its items anew, or a library words them in another way."""
    asked.stopped("tiny_gsm", 40)
    assert asked.batches
    place = {"task": "tiny_gsm"}
    with kept_answers(asked.folder / "unfinished", "x", place, []) as kept:
        assert kept.begin([("another prompt", {})], 1) == 0
        assert kept.next(100) is None
