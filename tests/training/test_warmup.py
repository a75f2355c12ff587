"""The warm-up before a mask: a plain loop over PEFT's LoRA, and gradients of the whole matrices."""

import pytest
import torch
from transformers import get_scheduler

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.errors import ConfigError, RigsaError
from rigsa.files import read_jsonl
from rigsa.machine import Machine
from rigsa.models.loading import load_adapter, load_base, load_tokenizer
from rigsa.tasks.textual_digits import ANSWER_OPENING, messages
from rigsa.training.data import Collator, encode
from rigsa.training.gradients import summed_gradients
from rigsa.training.order import Batches
from tests.training.test_job import SPEC, _train

LORA = {"type": "lora", "r": 2, "lora_alpha": 4}
STEPS, WARMUP, BATCHES = 12, 3, 2
SETTINGS = {key: value for key, value in SPEC["training"].items() if key != "logs"}
MASK = {
    **SPEC,
    "rule": "grad_squared",
    "adapter": {"type": "sparse_delta", "init": "zero", "gate": "none"},
    "batch_size": 8,
    "batches": BATCHES,
    "warmup": {"steps": WARMUP, "adapter": LORA, "training": SETTINGS},
}


class PlainLoop:
    """LoRA of PEFT, AdamW of torch, the schedule of transformers; and no Trainer."""

    def __init__(self, small_study) -> None:
        base, task = small_study
        self.model = load_base(base, Machine())
        self.names = list(linear_shapes(self.model))
        rows = encode(
            map(messages, read_jsonl(task / "train.jsonl")), ANSWER_OPENING, load_tokenizer(base)
        )
        self.batches = [Collator(0)(batch) for batch in Batches(rows, 8, STEPS, seed=0)]
        self.lora = build_adapter(self.model, LORA, 0, None).train()

    def run(self, steps: int, weights: dict[str, torch.nn.Parameter]) -> list[dict]:
        """Each step's gradients of `weights`, which stay as they are."""
        free = [parameter for parameter in self.lora.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(free, lr=1e-2, weight_decay=0.1)
        schedule = get_scheduler("linear", optimizer, round(0.1 * STEPS), STEPS)
        found = []
        for batch in self.batches[:steps]:
            for weight in weights.values():
                weight.requires_grad_(True)
            self.lora(**batch).loss.backward()
            found.append({name: weight.grad for name, weight in weights.items()})
            for weight in weights.values():
                weight.grad = None
            torch.nn.utils.clip_grad_norm_(free, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return found


@pytest.fixture(scope="module")
def squares(small_study) -> dict[str, torch.Tensor]:
    """What the plain loop sums up behind its warm-up."""
    loop = PlainLoop(small_study)
    weights = {
        name: loop.lora.get_submodule(f"base_model.model.{name}").base_layer.weight
        for name in loop.names
    }
    found = loop.run(WARMUP + BATCHES, weights)[WARMUP:]
    return {name: sum(step[name] ** 2 for step in found) for name in weights}


def test_a_training_is_the_plain_loop(small_study, tmp_path) -> None:
    checkpoint = _train(small_study, tmp_path, adapter=LORA)
    ours = load_adapter(load_base(small_study[0], Machine()), checkpoint.adapter)
    loop = PlainLoop(small_study)
    loop.run(STEPS, {})
    wanted = {n: p for n, p in loop.lora.named_parameters() if "lora_" in n}
    found = dict(ours.named_parameters())
    assert len(wanted) == 28
    for name, value in wanted.items():
        assert value.any()
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("machine", "error"),
    [
        (Machine(), 1e-3),
        (Machine(micro_batch_size=3), 1e-3),
        (Machine(activation_checkpointing="full"), 1e-3),
        (Machine(micro_batch_size=3, precision="bfloat16"), 0.2),
    ],
    ids=["whole batches", "passes", "recomputed", "bfloat16"],
)
def test_its_gradients_are_those_of_the_plain_loop(small_study, squares, machine, error) -> None:
    found = summed_gradients(MASK, *small_study, machine)
    assert found.keys() == squares.keys()
    for name, total in squares.items():
        assert total.any()
        assert found[name].dtype == torch.float32
        assert (found[name] - total).norm() < error * total.norm()


def test_it_repeats_to_the_bit_and_another_seed_does_not(small_study) -> None:
    first, again, other = (
        summed_gradients({**MASK, "seed": seed}, *small_study, Machine()) for seed in (0, 0, 1)
    )
    for name, total in first.items():
        assert torch.equal(total, again[name])
        assert not torch.equal(total, other[name])


def test_a_warmup_of_no_step_is_the_first_batch(small_study) -> None:
    """There B = 0, so that the model is the base."""
    spec = {**MASK, "batches": 1, "warmup": {**MASK["warmup"], "steps": 0}}
    found = summed_gradients(spec, *small_study, Machine())
    plain = {key: value for key, value in spec.items() if key != "warmup"}
    first = summed_gradients({**plain, "rule": "grad"}, *small_study, Machine())
    squared = summed_gradients(plain, *small_study, Machine())
    for name, gradient in first.items():
        torch.testing.assert_close(squared[name], gradient**2)
        torch.testing.assert_close(found[name], gradient**2, rtol=1e-3, atol=1e-9)


def test_a_loss_that_is_no_number_is_one_sentence(small_study) -> None:
    settings = {**SETTINGS, "learning_rate": 1e30, "warmup_ratio": 0}
    spec = {**MASK, "warmup": {**MASK["warmup"], "training": settings}}
    with pytest.raises(RigsaError, match="before the mask is chosen, the loss is nan in step 2"):
        summed_gradients(spec, *small_study, Machine())


def test_out_of_memory_says_what_to_lower(monkeypatch, small_study) -> None:
    def full(*args):
        raise torch.OutOfMemoryError

    monkeypatch.setattr("rigsa.training.trainer.answer_loss", full)
    with pytest.raises(RigsaError, match="the mask's warm-up does not fit into the cpu's memory"):
        summed_gradients(MASK, *small_study, Machine())


def test_a_warmup_that_is_longer_than_its_training_is_one_sentence(small_study) -> None:
    spec = {**MASK, "warmup": {**MASK["warmup"], "steps": STEPS - BATCHES + 1}}
    with pytest.raises(ConfigError, match="of 2 more are taken, but a training has 12 steps"):
        summed_gradients(spec, *small_study, Machine())
