"""Replay: items of the source tasks in every batch, so that less of them is forgotten.

What these rows teach is what a benchmark asks: the item as lm-eval words it, in the chat's frame or
without as the catalogue says, with the loss at the answer alone, as for the target. That is the
worked answer, or of several choices the right one's text.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rigsa.errors import RigsaError
from rigsa.evaluation.harness import harness
from rigsa.evaluation.task import load_task
from rigsa.tasks.stock import SPLITS
from rigsa.training.data import Row, encode, encode_plain, marked
from rigsa.training.order import epoch_order


def replay_rows(
    tasks: Sequence[Mapping[str, Any]],
    folders: Sequence[Path],
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    count: int,
) -> list[Row]:
    """`count` rows in the order in which batches take them, decided by the seed alone.

    Tasks take turns; each goes through its training items in an order of its own, again and again.

    Args:
        tasks: how each of them is asked: {"task": its name, "lm_eval": that in lm-eval, "chat":
            False where the chat's frame is left out}.
        folders: with their data, in the same order.

    Raises RigsaError for a task that has no training items.
    """
    each = -(-count // len(tasks))
    streams = [
        _stream(task, folder, tokenizer, seed, each)
        for task, folder in zip(tasks, folders, strict=True)
    ]
    return [streams[i % len(streams)][i // len(streams)] for i in range(count)]


def _stream(
    task: Mapping[str, Any],
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    count: int,
) -> list[Row]:
    """So many rows of one task; an item that comes again is encoded once."""
    file = folder / "train.jsonl"
    if not file.is_file() or file.stat().st_size == 0:
        raise RigsaError(
            f"training.replay.tasks names {task['task']!r}, which has no training items in "
            f"{file}; take it out in the study."
        )
    with harness():
        # The training items in the place of those that are asked.
        asked = load_task(task["lm_eval"], dict.fromkeys(SPLITS, str(file)), 0, 0)
        docs = asked.eval_docs
        places: list[int] = []
        while len(places) < count:
            places += epoch_order(len(docs), seed, epoch=len(places) // len(docs))
        places = places[:count]
        rows = {
            place: _row(asked, docs[place], task.get("chat", True), tokenizer)
            for place in sorted(set(places))
        }
    return [rows[place] for place in places]


def _row(task: Any, doc: Mapping[str, Any], chat: bool, tokenizer: PreTrainedTokenizerBase) -> Row:
    question, answer = task.doc_to_text(doc), task.doc_to_target(doc)
    if task.OUTPUT_TYPE == "multiple_choice":
        answer = task.doc_to_choice(doc)[int(answer)]
    if chat:
        turns = [("user", question), ("assistant", answer)]
        turns = [{"role": role, "content": content} for role, content in turns]
        row = encode([turns], "", tokenizer)[0]
    else:
        row = encode_plain(question, f"{task.config.target_delimiter}{answer}", tokenizer)
    return marked(row, original=True)
