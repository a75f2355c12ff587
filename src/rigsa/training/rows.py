"""All the rows of one training: the target's, those held out, and those it replays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rigsa.batches import optimizer_steps, replayed
from rigsa.files import read_jsonl
from rigsa.tasks.textual_digits import ANSWER_OPENING, messages
from rigsa.training.data import Row, encode, marked
from rigsa.training.order import Batches

SPLITS = ("train", "validation")


class TrainingRows:
    """Encodes what a training's SPEC asks for.

    Args:
        task_data: the target task's folder.
        replay_data: folders of the tasks in `spec["replayed"]`, in their order.

    Attributes:
        target: its training split.
        held_out: its validation split.
        replay: the source tasks' rows of all steps.
        steps: of the whole training.
        own: rows of a batch that are the target's.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        task_data: Path,
        replay_data: Sequence[Path],
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        self.target, self.held_out = (target_rows(task_data, split, tokenizer) for split in SPLITS)
        self.seed, more = spec["seed"], replayed(spec["training"])
        self.steps = optimizer_steps(spec["training"], len(self.target))
        self.own = spec["training"]["batch_size"] - more
        self.replay: list[Row] = []
        if more:
            from rigsa.training.replay import replay_rows  # With lm-eval; others need not wait.

            count = self.steps * more
            self.replay = replay_rows(spec["replayed"], replay_data, tokenizer, self.seed, count)
            self.target = [marked(row, original=False) for row in self.target]

    def batches(self, start: int) -> Batches:
        """Of all steps from `start` on."""
        return Batches(self.target, self.own, self.steps, self.seed, start, self.replay)

    @property
    def tokens_per_step(self) -> float:
        """On average."""
        replayed = sum(len(row["input_ids"]) for row in self.replay) / self.steps
        target = sum(len(row["input_ids"]) for row in self.target) / len(self.target)
        return self.own * target + replayed

    @property
    def epochs_per_step(self) -> float:
        return self.own / len(self.target)


def target_rows(task_data: Path, split: str, tokenizer: PreTrainedTokenizerBase) -> list[Row]:
    """A split of the target task, encoded."""
    docs = read_jsonl(task_data / f"{split}.jsonl")
    return encode(map(messages, docs), ANSWER_OPENING, tokenizer)
