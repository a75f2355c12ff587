"""A saved state is the whole state: every optimizer goes on from it as if it had never stopped."""

import random

import numpy as np
import pytest
import torch
from transformers import Trainer, get_linear_schedule_with_warmup

from rigsa.machine import Machine
from rigsa.resume.state import StoredState, random_state, save_state, set_random_state
from rigsa.tensors import read_tensors
from rigsa.training.trainer import training_arguments

LOW_BIT = {"bf16_stochastic_round": True}
SETTINGS = {
    "learning_rate": 1e-2,
    "weight_decay": 0.1,
    "batch_size": 1,
    "schedule": "linear",
    "max_grad_norm": 1.0,
}


@pytest.fixture(autouse=True)
def _eager():
    # torchao compiles its step, which takes longer than all steps of these tests.
    with torch.compiler.set_stance("force_eager"):
        yield


def _numpy() -> float:
    return float(np.random.rand())  # noqa: NPY002


class Small:
    """A model of one large and one small parameter, its optimizer and its schedule."""

    def __init__(self, tmp_path, optimizer: str, options: dict, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.ParameterDict(
            {"large": torch.randn(8192).to(dtype), "gate": torch.ones(1)}
        )
        given = {**SETTINGS, "optimizer": optimizer, "optimizer_options": options}
        arguments = training_arguments(given, Machine(), 0, 10, tmp_path)
        kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments, self.model)
        self.optimizer = kind(self.model.parameters(), **settings)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, 2, 10)

    @property
    def parts(self):
        return self.model, self.optimizer, self.schedule

    def steps(self, count: int) -> None:
        for _ in range(count):
            for value in self.model.values():
                # Numbers of every generator, as dropout and stochastic rounding draw them.
                noise = torch.rand(value.shape) + random.random() + _numpy()
                value.grad = (noise - 1.5).to(value.dtype)
            self.optimizer.step()
            self.schedule.step()


@pytest.mark.parametrize(
    ("optimizer", "options", "dtype"),
    [
        ("adamw_torch", {}, torch.float32),
        ("adamw_torch_fused", {}, torch.float32),
        ("adamw_torch_8bit", LOW_BIT, torch.bfloat16),
        ("adamw_torch_4bit", LOW_BIT, torch.bfloat16),
        ("adamw_bnb_8bit", {}, torch.float32),
        ("paged_adamw_8bit", {}, torch.float32),
        ("sgd", {}, torch.float32),
        ("sgd", {"momentum": 0.9}, torch.float32),
    ],
)
def test_every_optimizer_goes_on_to_the_byte(tmp_path, optimizer, options, dtype) -> None:
    whole = Small(tmp_path, optimizer, options, dtype)
    whole.steps(4)
    path = tmp_path / "state.safetensors"
    save_state(path, *whole.parts, {"step": 4}, random_state())
    whole.steps(5)

    again = Small(tmp_path, optimizer, options, dtype)
    with read_tensors(path) as file:
        stored = StoredState(file)
        assert stored.said == {"step": 4}
        stored.restore(*again.parts)
        set_random_state(stored.randomness)
    again.steps(5)
    for name, value in whole.model.items():
        assert torch.equal(again.model[name], value), name
    assert again.schedule.get_last_lr() == whole.schedule.get_last_lr()


def test_random_states_are_those_of_all_generators() -> None:
    def draw() -> list[float]:
        return [random.random(), _numpy(), torch.rand(()).item(), random.gauss(0, 1)]

    random.gauss(0, 1)  # Leaves a second number behind.
    state = random_state()
    first = draw()
    assert draw() != first
    set_random_state(state)
    assert draw() == first
