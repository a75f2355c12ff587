"""Logits and loss at the answer alone: the vocabulary is large and the answer is one token."""

import torch
import torch.nn.functional as F

from rigsa.training.data import IGNORED, ORIGINAL, SHARE

Tensor = torch.Tensor

NOT_INPUTS = ("labels", ORIGINAL, SHARE)


def answer_logits(model: torch.nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits (answers, vocabulary) that predict the labelled tokens, and those tokens (answers,).

    The head is applied only at positions before a label in any row of the batch.
    """
    labels = batch["labels"]
    positions = (labels != IGNORED).any(dim=0).nonzero().squeeze(1)
    inputs = {key: value for key, value in batch.items() if key not in NOT_INPUTS}
    logits = model(**inputs, logits_to_keep=positions - 1).logits
    wanted = labels[:, positions]
    there = wanted != IGNORED
    return logits[there].float(), wanted[there]


def answer_loss(
    model: torch.nn.Module, batch: dict[str, Tensor], count: Tensor | int | None
) -> Tensor:
    """Cross entropy summed over the answers and divided by `count`, or by their number.

    Where rows of several tasks are mixed, each row's mean over its answer's tokens is what is
    summed: a worked answer of many tokens would otherwise outweigh many answers of one.
    """
    logits, answers = answer_logits(model, batch)
    if ORIGINAL not in batch:
        return F.cross_entropy(logits, answers, reduction="sum") / (count or len(answers))
    there = batch["labels"] != IGNORED
    weights = (1 / there.sum(dim=1, keepdim=True)).expand_as(there)[there]
    losses = F.cross_entropy(logits, answers, reduction="none")
    return (weights * losses).sum() / (count or len(there))
