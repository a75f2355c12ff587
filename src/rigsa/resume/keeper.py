"""Keeps the state of a running training, so that it can go on after any kind of end."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

import torch

from rigsa.errors import FileError
from rigsa.resume.interrupt import Stopped
from rigsa.resume.state import StoredState, random_state, save_state, set_random_state
from rigsa.resume.unfinished import set_aside
from rigsa.tensors import read_tensors

STATE = "state.safetensors"


@dataclass(frozen=True)
class Often:
    """How often a state is kept: after so many steps, or minutes if those are over first."""

    steps: int = 200
    minutes: float = 10.0


@contextmanager
def kept_state(folder: Path | None) -> Iterator[StoredState | None]:
    """What an earlier process kept in `folder`; a corrupt file is set aside and counts as none."""
    file = folder and folder / STATE
    with ExitStack() as stack:
        stored = None
        if file is not None and file.is_file():
            try:
                stored = StoredState(stack.enter_context(read_tensors(file)))
            except FileError as error:
                set_aside(file, error)
        yield stored


class Keeper:
    """Takes a training up where it was left, and saves its state between steps.

    Args:
        folder: where; None keeps nothing.
        stored: the state to go on from.
        often: how often to save.
        asked: gives the signal by which the training was asked to stop, if it was.
        progress: what the caller wants to find in `StoredState.said["progress"]`.
        beside: tensors of the caller's, to find in `StoredState.beside`.
        first: steps that count as done where there is no state to go on from.

    Attributes:
        step: steps that are done.
    """

    def __init__(
        self,
        folder: Path | None,
        stored: StoredState | None,
        often: Often,
        asked: Callable[[], Signals | None],
        progress: Callable[[], Mapping[str, Any]] = dict,
        beside: Callable[[], Mapping[str, torch.Tensor]] = dict,
        first: int = 0,
    ) -> None:
        self.folder, self.stored, self.often = folder, stored, often
        self.asked, self.progress, self.beside = asked, progress, beside
        self.whole = True
        self.step = self.saved_step = stored.said["step"] if stored else first
        self.began = time.perf_counter() - (stored.said["seconds"] if stored else 0)
        self.saved_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the job began, all its processes together."""
        return time.perf_counter() - self.began

    def begin(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> None:
        """Before the first step; gives the three the state they were left in."""
        self.parts = (model, optimizer, schedule)
        if self.stored is not None:
            self.stored.restore(*self.parts)
            return
        with warnings.catch_warnings():
            # torch warns of a schedule that goes on before the optimizer has.
            warnings.filterwarnings("ignore", category=UserWarning)
            for _ in range(self.step):
                schedule.step()

    def step_begins(self) -> None:
        if self.stored is not None:
            # Only now: a loader of data may have drawn its own numbers before the first step.
            set_random_state(self.stored.randomness)
            self.stored = None
        self.randomness = random_state()

    def optimizer_steps(self) -> None:
        """From here to its end a step that fails has spoilt the values."""
        self.whole = False

    def step_ended(self, steps: int) -> None:
        """Saves if it is time to. Raises Stopped, with the state saved, if that was asked.

        Args:
            steps: of the whole training.
        """
        self.step += 1
        self.whole = True
        if self.step == steps:
            return
        self.randomness = random_state()
        signal = self.asked()
        minutes = (time.monotonic() - self.saved_at) / 60
        if (
            signal
            or self.step - self.saved_step >= self.often.steps
            or minutes >= self.often.minutes
        ):
            self.save()
        if signal:
            raise Stopped(signal, f"after step {self.step} of {steps}")

    def save(self) -> None:
        """Saves the state as it was after the last whole step, if there was one since.

        Raises FileError where the folder is not there any more.
        """
        if self.folder is None or self.step == self.saved_step or not self.whole:
            return
        if not self.folder.is_dir():
            raise FileError(
                f"{self.folder} is gone; put the results folder back, and run the same "
                "command again."
            )
        said = {"step": self.step, "seconds": self.seconds, "progress": self.progress()}
        save_state(self.folder / STATE, *self.parts, said, self.randomness, self.beside())
        self.saved_step, self.saved_at = self.step, time.monotonic()

    def kept(self) -> str:
        """A sentence that says what there is to go on from, or nothing."""
        if self.folder is None or not (self.folder / STATE).is_file():
            return ""
        return f"The state after step {self.saved_step} is kept in {self.folder}."
