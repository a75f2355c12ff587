"""The answer-only loss against the stock Trainer's, with and without gradient accumulation."""

from itertools import chain

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from rigsa.adapters.build import build_adapter
from rigsa.batches import optimizer_steps, pass_size
from rigsa.machine import Machine
from rigsa.training.data import IGNORED, Collator, Row
from rigsa.training.loss import answer_logits, answer_loss
from rigsa.training.order import Batches
from rigsa.training.trainer import (
    AnswerTrainer,
    NotFinite,
    training_arguments,
)
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


def _rows(lengths: list[int], answers: list[int]) -> list[Row]:
    generator = torch.Generator().manual_seed(0)
    rows = []
    for length, count in zip(lengths, answers, strict=True):
        ids = torch.randint(1, 64, (length,), generator=generator, dtype=torch.int32).numpy()
        labels = ids.copy()
        labels[:-count] = IGNORED
        rows.append({"input_ids": ids, "labels": labels})
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
    assert len(logits) == len(answers) == sum((row["labels"] != IGNORED).sum() for row in rows)


def test_the_head_is_applied_only_before_answers() -> None:
    model = make_llama()
    seen = []
    model.lm_head.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    answer_loss(model, Collator(0)(SAME), None)
    assert seen == [(16, 1, 64)]


class Watch(TrainerCallback):
    """Notes the learning rate of every step."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_pre_optimizer_step(self, *args, optimizer, **kwargs) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


def _trainer(tmp_path, settings=SETTINGS, rows=SAME, micro_batch=16, **options):
    steps = optimizer_steps(settings, len(rows))
    return AnswerTrainer(
        model=build_adapter(make_llama(), ADAPTER, seed=0, mask=None),
        args=training_arguments(settings, Machine(), 0, steps, tmp_path),
        train_dataset=Batches(rows, settings["batch_size"], steps, 0),
        **{
            "collate": Collator(0),
            "micro_batch_size": micro_batch,
            "decay_gate": True,
            "losses": [],
            **options,
        },
    )


@pytest.mark.parametrize("rows", [SAME, MIXED], ids=["one answer", "answers of several lengths"])
@pytest.mark.parametrize("micro_batch", [4, 3, 1])
def test_training_is_that_of_the_stock_trainer(rows, micro_batch: int, tmp_path) -> None:
    """The same losses, and the same weights after two epochs, however a batch is split."""
    ours = _trainer(tmp_path, rows=rows, micro_batch=micro_batch)
    ours.train()
    adapted = build_adapter(make_llama(), ADAPTER, seed=0, mask=None)
    given = training_arguments(SETTINGS, Machine(), 0, 8, tmp_path).to_dict()
    stock = Trainer(
        model=adapted,
        args=TrainingArguments(**given | {"logging_strategy": "steps", "logging_steps": 1}),
        train_dataset=rows,
        data_collator=Collator(0),
    )
    stock.train()
    losses = [line["loss"] for line in stock.state.log_history if "loss" in line]
    assert len(losses) == 8
    torch.testing.assert_close(torch.tensor(ours.losses), torch.tensor(losses))
    for one, other in zip(ours.model.parameters(), adapted.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_gates_decay_only_if_the_study_says_so(tmp_path) -> None:
    for decay_gate in (True, False):
        trainer = _trainer(tmp_path, decay_gate=decay_gate)
        decayed = trainer.create_optimizer().param_groups[0]
        assert decayed["weight_decay"] == 0.1
        gates = [p for p in decayed["params"] if p.numel() == 1]
        assert len(gates) == (14 if decay_gate else 0)
        assert len([p for p in decayed["params"] if p.numel() > 1]) == 14


def test_the_schedule_is_piecewise_linear(tmp_path) -> None:
    """Up to the full rate in the warm-up, then down to 0 (RIGSA, training)."""
    watch = Watch()
    _trainer(tmp_path, {**SETTINGS, "warmup_steps": 4, "epochs": 5}, callbacks=[watch]).train()
    wanted = [min(step / 4, (20 - step) / 16) * 1e-2 for step in range(20)]
    assert watch.rates == pytest.approx(wanted)


def test_a_batch_is_split_evenly() -> None:
    training = {"batch_size": 16}
    sizes = [pass_size(training, limit) for limit in (1, 3, 8, 15, 16, 64)]
    assert sizes == [1, 3, 8, 8, 16, 16]
    assert pass_size({"batch_size": 7, "gpus": 2}, 3) == 2


def test_batches_from_any_step_are_those_of_the_whole() -> None:
    rows = list(range(10))
    whole = Batches(rows, 4, 7, seed=3)
    places = [whole[step] for step in range(len(whole))]
    assert [len(batch) for batch in places] == [4, 4, 2, 4, 4, 2, 4]
    assert sorted(chain(*places[:3])) == sorted(chain(*places[3:6])) == rows
    assert places[:3] != places[3:6]
    for start in range(8):
        later = Batches(rows, 4, 7, seed=3, start=start)
        assert [later[step] for step in range(len(later))] == places[start:]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("what", ["loss", "gradient's norm"])
def test_what_is_no_number_never_reaches_the_weights(bad, what, tmp_path, monkeypatch) -> None:
    trainer = _trainer(tmp_path)

    def spoilt(*args):
        loss = answer_loss(*args)
        if len(trainer.losses) < 2:
            return loss
        if what == "loss":
            return loss * bad
        gate = next(p for p in trainer.model.parameters() if p.requires_grad and p.numel() == 1)
        gate.register_hook(lambda gradient: gradient * bad)
        return loss

    monkeypatch.setattr("rigsa.training.trainer.answer_loss", spoilt)
    with pytest.raises(
        NotFinite, match=rf"the {what} is (nan|inf) in step 3, at learning rate 0\."
    ):
        trainer.train()
    assert len(trainer.losses) == 2
    assert all(value.isfinite().all() for value in trainer.model.parameters())
