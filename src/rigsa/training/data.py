"""The target task as token sequences that end in the answer, with labels on the answer alone."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

IGNORED = -100
# What a row of a training with replay has beside the two below: 1 at each token if it is of the
# original domain, which the base model knows already, else 0.
ORIGINAL = "original"
# What a pass has beside its rows: its share of the answers of the whole batch.
SHARE = "share"
# Token ids and labels of one row, int32: a third of the memory of Python's integers.
Row = dict[str, np.ndarray]


def encode(
    conversations: Iterable[list[dict[str, str]]], opening: str, tokenizer: PreTrainedTokenizerBase
) -> list[Row]:
    """Token ids and labels of conversations that end in the assistant's answer.

    Args:
        conversations: chat turns; the last one is the assistant's and begins with `opening`.
        opening: words that are given to the model, not learnt.

    The rows end in the answer, which alone is labelled: what follows it teaches nothing.
    """
    rows = []
    for *turns, last in conversations:
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        prompt_ids = tokenizer.encode(prompt + opening, add_special_tokens=False)
        answer = last["content"].removeprefix(opening)
        rows.append(_row(prompt_ids, tokenizer.encode(answer, add_special_tokens=False)))
    return rows


def encode_plain(question: str, answer: str, tokenizer: PreTrainedTokenizerBase) -> Row:
    """The same of a question without the chat's frame, as stock tasks are asked by lm-eval."""
    ids = (tokenizer.encode(text, add_special_tokens=False) for text in (question, answer))
    return _row(*ids)


def marked(row: Row, original: bool) -> Row:
    """The row with the mark whether it is of the original domain."""
    return {**row, ORIGINAL: np.full(len(row["input_ids"]), original, dtype=np.int8)}


def _row(prompt_ids: list[int], answer_ids: list[int]) -> Row:
    row = np.array([prompt_ids + answer_ids] * 2, dtype=np.int32)
    row[1, : len(prompt_ids)] = IGNORED
    return {"input_ids": row[0], "labels": row[1]}


class Collator:
    """Rows as tensors, padded on the right where their lengths differ."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        length = max(len(row["input_ids"]) for row in rows)
        batch = {
            "input_ids": _stack(rows, "input_ids", length, self.pad_token_id),
            "labels": _stack(rows, "labels", length, IGNORED),
        }
        if ORIGINAL in rows[0]:
            batch[ORIGINAL] = _stack(rows, ORIGINAL, length, 0)
        if any(len(row["input_ids"]) < length for row in rows):
            sizes = torch.tensor([len(row["input_ids"]) for row in rows])
            batch["attention_mask"] = (torch.arange(length) < sizes[:, None]).long()
        return batch


def _stack(rows: Sequence[Row], key: str, length: int, fill: int) -> torch.Tensor:
    stacked = torch.full((len(rows), length), fill)
    for place, row in zip(stacked, rows, strict=True):
        place[: len(row[key])] = torch.from_numpy(row[key])
    return stacked
