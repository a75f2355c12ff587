"""A training that was stopped ends as one that was not: to the byte, with nothing done twice."""

import os
import signal

import pytest
import torch

from rigsa.adapters.build import linear_shapes
from rigsa.errors import FileError, RigsaError
from rigsa.files import read_json, read_jsonl
from rigsa.machine import Machine
from rigsa.masks.storage import Mask, save_mask
from rigsa.models.loading import load_base
from rigsa.paths import CheckpointPaths
from rigsa.resume.interrupt import Stopped, listen
from rigsa.training import trainer as trainer_module
from rigsa.training.job import train
from rigsa.training.loss import answer_loss
from tests.training.test_job import SPEC

STEPS = 12
TIMED = {"tokens_per_second", "peak_memory_bytes", "seconds", "step_seconds"}


class Killed(Exception):
    """As a process that is killed: nothing is done any more."""


class Job:
    """A training that can be broken off in a given step."""

    def __init__(
        self, small_study, folder, monkeypatch, mask=None, machine=None, **changes
    ) -> None:
        self.spec, self.study, self.mask = {**SPEC, **changes}, small_study, mask
        self.machine = machine or Machine(checkpoint_steps=2)
        self.checkpoint = CheckpointPaths(folder / "arm" / "seed0" / "step0")
        self.unfinished = folder / "unfinished" / "train"
        self.passes = 0
        self.at: tuple[int, object] = (0, None)
        monkeypatch.setattr(trainer_module, "answer_loss", self._answer_loss)

    def _answer_loss(self, *args):
        self.passes += 1
        if self.passes == self.at[0]:
            self.at[1]()
        return answer_loss(*args)

    def run(self, at: int = 0, end=None) -> "Job":
        """Trains; `end` is called in the pass `at`."""
        self.passes, self.at = 0, (at, end)
        train(self.spec, *self.study, self.mask, self.checkpoint, self.machine, self.unfinished)
        return self

    def content(self) -> tuple[list[bytes], list, dict]:
        """All that is the same in every run."""
        rows = read_jsonl(self.checkpoint.training_log)
        totals = read_json(self.checkpoint.training)
        return (
            [file.read_bytes() for file in self.checkpoint.adapter_files],
            [{k: v for k, v in row.items() if k not in TIMED} for row in rows],
            {k: v for k, v in totals.items() if k not in TIMED},
        )


def _kill():
    raise Killed


def _terminate():
    os.kill(os.getpid(), signal.SIGTERM)


LORA = {"type": "lora", "r": 4, "lora_alpha": 8, "lora_dropout": 0.3}
LOW_BIT = {"optimizer": "adamw_torch_8bit", "optimizer_options": {"bf16_stochastic_round": True}}
KINDS = {
    "sparse delta": {},
    "dropout": {"adapter": LORA},
    "every weight": {"adapter": {"type": "full"}},
    "stochastic rounding": {
        "adapter": {**SPEC["adapter"], "dtype": "bfloat16"},
        "training": {**SPEC["training"], **LOW_BIT},
    },
    "low rank and sparse": {"adapter": {**LORA, "type": "rosa"}},
    "noisy gates": {"adapter": {"type": "fine_gates", "r": 2}},
    "odd batches": {"training": {**SPEC["training"], "batch_size": 7, "epochs": 1.7}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_to_the_byte(kind, small_study, tmp_path, monkeypatch) -> None:
    with torch.compiler.set_stance("force_eager"):
        options = KINDS[kind]
        whole = Job(small_study, tmp_path / "whole", monkeypatch, **options).run()
        job = Job(small_study, tmp_path / "job", monkeypatch, **options)
        # Killed in step 4, then in the step 3 of what is left, then told to stop in the next.
        for step, end, error in ((4, _kill, Killed), (3, _kill, Killed), (1, _terminate, Stopped)):
            with pytest.raises(error):
                job.run(step, end)
            assert not job.checkpoint.training.exists()
        job.run()
    assert job.content() == whole.content()
    assert not (job.unfinished / "state.safetensors").exists()


def test_at_most_the_steps_since_the_last_save_are_lost(small_study, tmp_path, monkeypatch) -> None:
    job = Job(small_study, tmp_path, monkeypatch, machine=Machine(checkpoint_steps=5))
    with pytest.raises(Killed):
        job.run(10, _kill)  # In step 10, with 9 done and 5 saved.
    assert job.run().passes == STEPS - 5


def test_a_signal_ends_it_after_the_step_with_its_state_saved(
    small_study, tmp_path, monkeypatch
) -> None:
    job = Job(small_study, tmp_path, monkeypatch, machine=Machine(checkpoint_steps=100))
    for at, left in ((3, 9), (4, 5)):
        with pytest.raises(Stopped) as stop:
            job.run(at, _terminate)
        assert stop.value.signal == signal.SIGTERM
        assert stop.value.where == f"after step {STEPS - left} of {STEPS}"
    assert job.run().passes == 5


def test_a_second_signal_does_not_wait(small_study, tmp_path, monkeypatch) -> None:
    def twice():
        _terminate()
        _terminate()

    listen()
    job = Job(small_study, tmp_path, monkeypatch)
    with pytest.raises(Stopped) as stop:
        job.run(4, twice)
    assert job.passes == 4
    assert stop.value.where == ""


def test_a_signal_after_the_last_step_changes_nothing(small_study, tmp_path, monkeypatch) -> None:
    job = Job(small_study, tmp_path, monkeypatch)
    assert job.run(STEPS, _terminate).passes == STEPS
    assert job.checkpoint.training.exists()


def test_minutes_save_as_well(small_study, tmp_path, monkeypatch) -> None:
    machine = Machine(checkpoint_steps=100, checkpoint_minutes=0)
    job = Job(small_study, tmp_path, monkeypatch, machine=machine)
    with pytest.raises(Killed):
        job.run(9, _kill)
    assert job.run().passes == STEPS - 8


def test_other_passes_or_workers_go_on_as_well(small_study, tmp_path, monkeypatch) -> None:
    """Out of memory is answered by smaller passes, from where the training was."""
    job = Job(small_study, tmp_path, monkeypatch)
    with pytest.raises(Killed):
        job.run(8, _kill)
    job.machine = Machine(micro_batch_size=3, dataloader_workers=1)
    assert job.run().passes == (STEPS - 6) * 3


@pytest.mark.parametrize("part", ["settings", "mask", "data"])
def test_another_job_begins_anew_and_says_so(
    part, small_study, tmp_path, monkeypatch, caplog
) -> None:
    shapes = linear_shapes(load_base(small_study[0], Machine()))
    mask = tmp_path / "mask.safetensors"
    save_mask(
        Mask({name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}), mask
    )
    job = Job(small_study, tmp_path, monkeypatch, mask=mask)
    with pytest.raises(Killed):
        job.run(6, _kill)
    if part == "settings":
        job.spec["training"] = {**SPEC["training"], "learning_rate": 5e-3}
    if part == "mask":
        save_mask(Mask({name: torch.rand(shape) < 0.5 for name, shape in shapes.items()}), mask)
    if part == "data":
        data = tmp_path / "data"
        data.mkdir()
        for split in ("train", "validation"):
            lines = (small_study[1] / f"{split}.jsonl").read_text().splitlines(keepends=True)
            (data / f"{split}.jsonl").write_text("".join(reversed(lines)))
        job.study = (small_study[0], data)
    assert job.run().passes == STEPS
    assert f"train: begun with another {part}; begins anew." in caplog.messages


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_corrupt_state_is_set_aside(damage, small_study, tmp_path, monkeypatch, caplog) -> None:
    job = Job(small_study, tmp_path, monkeypatch)
    with pytest.raises(Killed):
        job.run(6, _kill)
    state = job.unfinished / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-100] ^= 1
    state.write_bytes(content[:-50] if damage == "truncated" else content)
    assert job.run().passes == STEPS
    assert "state.safetensors is corrupt" in caplog.text
    assert "It was set aside as state.safetensors.corrupt." in caplog.text


def test_what_no_run_has_seen_is_not_trained_again(small_study, tmp_path, monkeypatch) -> None:
    """A run dies between the end of a job and its own note of it; Snakemake deletes the outputs."""
    job = Job(small_study, tmp_path, monkeypatch).run()
    whole = job.content()
    for file in (*job.checkpoint.adapter_files, job.checkpoint.training):
        file.unlink()
    assert job.run().passes == 0
    assert job.content() == whole


def test_results_that_were_moved_are_missed_and_nothing_is_lost(
    small_study, tmp_path, monkeypatch
) -> None:
    job = Job(small_study, tmp_path / "results", monkeypatch)
    with pytest.raises(FileError, match="is gone; put the results folder back, and run the same"):
        job.run(6, lambda: (tmp_path / "results").rename(tmp_path / "moved"))
    (tmp_path / "moved").rename(tmp_path / "results")
    assert job.run().passes == STEPS - 4


def test_out_of_memory_keeps_what_was_reached(small_study, tmp_path, monkeypatch) -> None:
    def full():
        raise torch.OutOfMemoryError

    machine = Machine(micro_batch_size=4, checkpoint_steps=100)
    job = Job(small_study, tmp_path, monkeypatch, machine=machine)
    said = r"micro_batch_size 4; set micro_batch_size to 2 or activation_checkpointing to full in"
    with pytest.raises(RigsaError, match=said) as error:
        job.run(8, full)  # In the second pass of step 4.
    assert str(error.value).endswith(f"The state after step 3 is kept in {job.unfinished}.")
    whole = Job(small_study, tmp_path / "whole", monkeypatch, machine=machine).run()
    job.run()
    assert job.content() == whole.content()


def test_a_loss_that_is_no_number_names_arm_step_and_rate(
    small_study, tmp_path, monkeypatch
) -> None:
    job = Job(small_study, tmp_path, monkeypatch, machine=Machine(checkpoint_steps=100))
    monkeypatch.setattr(
        trainer_module,
        "answer_loss",
        lambda *args: job._answer_loss(*args) * (float("nan") if job.passes > 5 else 1),
    )
    said = r"arm/seed0/step0: the loss is nan in step 6, at learning rate 0.00\d+; lower the arm's"
    with pytest.raises(RigsaError, match=said) as error:
        job.run()
    assert "The state after step 5 is kept in" in str(error.value)
    assert not job.checkpoint.training.exists()
