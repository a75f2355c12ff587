"""The answer-only loss against the stock Trainer's, with and without gradient accumulation."""

import pytest
import torch
from transformers import Trainer, TrainingArguments

from rigsa.adapters.build import build_adapter
from rigsa.machine import Machine
from rigsa.training.data import IGNORED, Collator
from rigsa.training.loss import answer_logits, answer_loss
from rigsa.training.trainer import AnswerTrainer, largest_divisor, training_arguments
from tests.conftest import make_llama

ADAPTER = {"type": "sparse_delta", "gate_init": 0.5}
SETTINGS = {
    "optimizer": "adamw_torch",
    "learning_rate": 1e-2,
    "weight_decay": 0.1,
    "schedule": "linear",
    "warmup_ratio": 0.25,
    "epochs": 2,
    "batch_size": 4,
    "max_grad_norm": 1.0,
    "logs": 4,
}


def _rows(lengths: list[int], answers: list[int]) -> list[dict[str, list[int]]]:
    generator = torch.Generator().manual_seed(0)
    rows = []
    for length, count in zip(lengths, answers, strict=True):
        ids = torch.randint(1, 64, (length,), generator=generator).tolist()
        rows.append({"input_ids": ids, "labels": [IGNORED] * (length - count) + ids[-count:]})
    return rows


SAME = _rows([12] * 16, [1] * 16)
MIXED = _rows([8, 12, 9, 12, 5, 7, 11, 12] * 2, [1, 2, 3, 1, 1, 4, 2, 1] * 2)


@pytest.mark.parametrize("rows", [SAME, MIXED], ids=["one answer", "answers of several lengths"])
def test_it_is_the_full_logits_loss(rows) -> None:
    model = make_llama()
    batch = Collator(0)(rows)
    full = model(**batch).loss
    torch.testing.assert_close(answer_loss(model, batch, None), full)
    logits, answers = answer_logits(model, batch)
    assert len(logits) == len(answers) == sum(t != IGNORED for row in rows for t in row["labels"])


def test_the_head_is_applied_only_before_answers() -> None:
    model = make_llama()
    seen = []
    model.lm_head.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    answer_loss(model, Collator(0)(SAME), None)
    assert seen == [(16, 1, 64)]


@pytest.mark.parametrize("rows", [SAME, MIXED], ids=["one answer", "answers of several lengths"])
@pytest.mark.parametrize("micro_batch", [4, 1])
def test_training_is_that_of_the_stock_trainer(rows, micro_batch: int, tmp_path) -> None:
    """The same losses, and the same weights after two epochs, however a batch is split."""
    machine = Machine(micro_batch_size=micro_batch)
    losses, weights = [], []
    for stock in (True, False):
        adapted = build_adapter(make_llama(), ADAPTER, seed=0, mask=None)
        arguments = training_arguments(SETTINGS, machine, 0, len(rows), tmp_path)
        common = {"model": adapted, "train_dataset": rows, "data_collator": Collator(0)}
        if stock:
            plain = TrainingArguments(**{**arguments.to_dict(), "logging_steps": 1})
            trainer = Trainer(args=plain, **common)
        else:
            arguments.logging_steps = 1
            trainer = AnswerTrainer(args=arguments, decay_gate=True, **common)
        trainer.train()
        losses.append([line["loss"] for line in trainer.state.log_history if "loss" in line])
        weights.append([p.detach() for p in adapted.parameters() if p.requires_grad])
    assert len(losses[0]) == 8
    torch.testing.assert_close(torch.tensor(losses[1]), torch.tensor(losses[0]))
    for ours, stock_s in zip(weights[1], weights[0], strict=True):
        torch.testing.assert_close(ours, stock_s, atol=1e-4, rtol=1e-3)


def test_gates_decay_only_if_the_study_says_so(tmp_path) -> None:
    for decay_gate in (True, False):
        adapted = build_adapter(make_llama(), ADAPTER, seed=0, mask=None)
        trainer = AnswerTrainer(
            model=adapted,
            args=training_arguments(SETTINGS, Machine(), 0, len(SAME), tmp_path),
            train_dataset=SAME,
            data_collator=Collator(0),
            decay_gate=decay_gate,
        )
        decayed = trainer.create_optimizer().param_groups[0]
        assert decayed["weight_decay"] == 0.1
        gates = [p for p in decayed["params"] if p.numel() == 1]
        assert len(gates) == (14 if decay_gate else 0)
        assert len([p for p in decayed["params"] if p.numel() > 1]) == 14


def test_the_schedule_is_piecewise_linear(tmp_path) -> None:
    """Up to the full rate in the warm-up, then down to 0 (RIGSA, training)."""
    adapted = build_adapter(make_llama(), ADAPTER, seed=0, mask=None)
    settings = {**SETTINGS, "warmup_steps": 4, "epochs": 5}
    arguments = training_arguments(settings, Machine(), 0, len(SAME), tmp_path)
    arguments.logging_steps = 1
    trainer = AnswerTrainer(
        model=adapted,
        args=arguments,
        train_dataset=SAME,
        data_collator=Collator(0),
        decay_gate=True,
    )
    trainer.train()
    rates = [line["learning_rate"] for line in trainer.state.log_history if "loss" in line]
    wanted = [min(step / 4, (20 - step) / 16) * 1e-2 for step in range(20)]
    assert rates == pytest.approx(wanted)


def test_a_batch_is_split_evenly() -> None:
    assert [largest_divisor(16, limit) for limit in (1, 3, 8, 15, 16, 64)] == [1, 2, 8, 8, 16, 16]
