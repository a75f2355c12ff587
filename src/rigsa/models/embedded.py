"""Trains the embedded base model from scratch: SmolLM2's shape, the source tasks' knowledge."""

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    get_linear_schedule_with_warmup,
)

from rigsa.files import whole_folder, write_json
from rigsa.models.tokenizer import TURN_START, build_tokenizer
from rigsa.resume.interrupt import finishing_first
from rigsa.resume.keeper import Keeper, Often, kept_state

logger = logging.getLogger(__name__)

IGNORED = -100  # the label of tokens that are not to be learnt
LINES = 20  # progress lines in the log

Message = Mapping[str, str]
Segment = tuple[list[int], list[int]]  # token ids and labels


def train_base_model(
    spec: Mapping[str, Any],
    conversations: Mapping[str, Sequence[Sequence[Message]]],
    output: Path,
    device: str = "cpu",
    folder: Path | None = None,
    often: Often | None = None,
) -> dict[str, Any]:
    """Trains on the conversations of each task and saves a plain Hugging Face folder.

    `spec` is the entry of studies/catalog/base_models.yaml; a conversation is one item: a user's
    turn and the assistant's. Same seed, number of threads and machine give the same model. Its
    state is kept in `folder` as `often` says, and it goes on from what is there. Returns the
    totals, which are in the output as training.json as well.
    """
    training = spec["training"]
    torch.manual_seed(training["seed"])
    turns = (turn["content"] for items in conversations.values() for item in items for turn in item)
    places = spec["architecture"]["max_position_embeddings"]
    tokenizer = build_tokenizer(turns, spec["vocabulary"], places)
    model = _model(spec["architecture"], tokenizer).to(device)
    rows = _rows(training, _encoded(conversations, tokenizer))
    with kept_state(folder) as stored, finishing_first() as asked:
        keeper = Keeper(folder, stored, often or Often(), asked)
        totals = _train(model, rows, training, device, keeper)
        _save(model, tokenizer, totals, output)
    return totals


def _model(architecture: Mapping[str, Any], tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    # What follows from the width, as in SmolLM2, is not a setting.
    width, heads = architecture["hidden_size"], architecture["num_attention_heads"]
    given = {key: value for key, value in architecture.items() if key != "rope_theta"}
    config = LlamaConfig(
        **given,
        rope_parameters={"rope_type": "default", "rope_theta": architecture["rope_theta"]},
        intermediate_size=4 * width,
        num_key_value_heads=heads,
        head_dim=width // heads,
        tie_word_embeddings=True,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _encoded(
    conversations: Mapping[str, Sequence[Sequence[Message]]], tokenizer: PreTrainedTokenizerFast
) -> dict[str, list[Segment]]:
    """Each item in the chat format; only the assistant's words and turn end are learnt."""
    opening = f"{TURN_START}assistant\n"
    encoded = {}
    for task, items in conversations.items():
        texts = [tokenizer.apply_chat_template(list(item), tokenize=False) for item in items]
        # The opening ends in a newline token of its own, so the parts' tokens are the whole's.
        parts = [text.rpartition(opening) for text in texts]
        asked = tokenizer([ask + open_ for ask, open_, _ in parts])["input_ids"]
        answered = tokenizer([answer for _, _, answer in parts])["input_ids"]
        encoded[task] = [
            # The last token is the newline after the turn: the model stops before it.
            (ask + answer, [IGNORED] * len(ask) + answer[:-1] + [IGNORED])
            for ask, answer in zip(asked, answered, strict=True)
        ]
    return encoded


def _rows(
    training: Mapping[str, Any], encoded: Mapping[str, list[Segment]]
) -> Iterator[tuple[list[int], list[int], list[int]]]:
    """Endless rows of `row_tokens` ids, labels and positions: conversations one after the other.

    A row's last conversation is cut, so nothing is padding. Each conversation's positions start
    at 0.
    """
    rng = random.Random(training["seed"])
    supplies = {task: _endless(items, rng) for task, items in encoded.items()}
    shares = [training["mixture"][task] for task in supplies]
    length = training["row_tokens"]
    while True:
        ids: list[int] = []
        labels: list[int] = []
        positions: list[int] = []
        while len(ids) < length:
            task = rng.choices(list(supplies), shares)[0]
            # Few-shot examples are earlier turns, so the model must have seen such conversations.
            start = len(ids)
            for _ in range(rng.randint(1, training["most_turns"][task])):
                item_ids, item_labels = next(supplies[task])
                ids += item_ids
                labels += item_labels
            positions += range(len(ids) - start)
        yield ids[:length], labels[:length], positions[:length]


def _endless(items: list[Segment], rng: random.Random) -> Iterator[Segment]:
    while True:
        yield from rng.sample(items, len(items))


def _train(
    model: LlamaForCausalLM,
    rows: Iterator,
    training: Mapping[str, Any],
    device: str,
    keeper: Keeper,
) -> dict[str, Any]:
    steps = training["steps"]
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=training["learning_rate"],
        betas=(0.9, 0.95),
        weight_decay=training["weight_decay"],
        fused=True,
    )
    warmup = round(training["warmup_ratio"] * steps)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, steps)
    model.train()
    keeper.begin(model, optimizer, schedule)
    loss = torch.zeros(())
    # The rows are drawn one after the other: those that were seen are drawn again.
    for _ in range(keeper.step * training["rows"]):
        next(rows)
    for step in range(keeper.step + 1, steps + 1):
        keeper.step_begins()
        batch = [next(rows) for _ in range(training["rows"])]
        ids, labels, positions = (
            torch.tensor(part, device=device) for part in zip(*batch, strict=True)
        )
        # Without a mask, positions that start anew keep conversations from seeing each other.
        hidden = model.model(input_ids=ids, position_ids=positions, use_cache=False)[0]
        learnt = labels[:, 1:] != IGNORED
        logits = model.lm_head(hidden[:, :-1][learnt])
        loss = cross_entropy(logits, labels[:, 1:][learnt])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training["max_grad_norm"])
        keeper.optimizer_steps()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % max(1, steps // LINES) == 0 or step == steps:
            _log(step, steps, loss.item(), step * ids.numel(), keeper.seconds)
        keeper.step_ended(steps)
    return {
        "steps": steps,
        "tokens": steps * training["rows"] * training["row_tokens"],
        "seconds": round(keeper.seconds, 1),
        "loss": loss.item(),
        "parameters": model.num_parameters(),
    }


def _log(step: int, steps: int, loss: float, tokens: int, seconds: float) -> None:
    left = seconds / step * (steps - step)
    logger.info(
        "base model: step %d of %d, loss %.4f, %.0f tokens/s, %.0f s left",
        step, steps, loss, tokens / seconds, left,
    )  # fmt: skip


def _save(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    totals: Mapping[str, Any],
    output: Path,
) -> None:
    with whole_folder(output) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        write_json(partial / "training.json", totals)
