"""Small updates of bfloat16 values: lost in ordinary rounding, kept by stochastic rounding."""

import pytest
import torch
from transformers import Trainer

from rigsa.errors import ConfigError
from rigsa.machine import Machine
from rigsa.study import load_study
from rigsa.training.trainer import training_arguments
from tests.conftest import ROOT

PAPER = {"learning_rate": 2e-3, "weight_decay": 1.0}
STEPS = 100


@pytest.fixture(autouse=True)
def _eager():
    # torchao compiles its step, which takes longer than all steps of these tests.
    with torch.compiler.set_stance("force_eager"):
        yield


def _stepped(tmp_path, training: dict, gradient: float) -> torch.Tensor:
    """Values that began at ±0.02, divided by what they were, after STEPS steps of the optimizer."""
    given = {
        "epochs": 1,
        "batch_size": 1,
        "schedule": "constant",
        "max_grad_norm": 1.0,
        "logs": 1,
        **training,
    }
    arguments = training_arguments(given, Machine(), 0, STEPS, tmp_path)
    torch.manual_seed(0)
    began = (torch.randn(8192).sign() * 0.02).bfloat16()
    model = torch.nn.ParameterDict({"delta": torch.nn.Parameter(began.clone())})
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    optimizer = kind(model.parameters(), **{"weight_decay": training["weight_decay"], **options})
    for _ in range(STEPS):
        model["delta"].grad = torch.full_like(began, gradient)
        optimizer.step()
    return model["delta"].detach().float() / began.float()


LOW_BIT = [
    {"optimizer": name, "optimizer_options": {"bf16_stochastic_round": True}}
    for name in ("adamw_torch_8bit", "adamw_torch_4bit")
]


def test_ordinary_rounding_loses_decay_and_small_steps(tmp_path) -> None:
    for training, gradient in ((PAPER, 0.0), ({"learning_rate": 2e-5, "weight_decay": 0.0}, 1e-3)):
        kept = _stepped(tmp_path, {"optimizer": "adamw_torch", **training}, gradient)
        assert torch.equal(kept, torch.ones_like(kept))


@pytest.mark.parametrize("optimizer", LOW_BIT, ids=lambda given: given["optimizer"])
def test_stochastic_rounding_keeps_decay(optimizer: dict, tmp_path) -> None:
    kept = _stepped(tmp_path, {**optimizer, **PAPER}, gradient=0.0)
    assert kept.mean().item() == pytest.approx((1 - 2e-3) ** STEPS, rel=0.005)


@pytest.mark.parametrize("optimizer", LOW_BIT, ids=lambda given: given["optimizer"])
def test_stochastic_rounding_keeps_small_steps(optimizer: dict, tmp_path) -> None:
    """A step of Adam is the learning rate, here 0.1 % of the values; signs differ, steps do not."""
    training = {**optimizer, "learning_rate": 2e-5, "weight_decay": 0.0}
    kept = _stepped(tmp_path, training, gradient=1e-3)
    moved = torch.where(kept > 1, kept - 1, 1 - kept)
    assert moved.mean().item() == pytest.approx(STEPS * 2e-5 / 0.02, rel=0.05)


def test_the_papers_study_rounds_stochastically(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    for arm in load_study("paper").arms.values():
        if arm.trained and arm.adapter.get("dtype") == "bfloat16":
            assert arm.training["optimizer_options"]["bf16_stochastic_round"]


def test_bfloat16_values_without_it_are_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "catalog").symlink_to(ROOT / "studies" / "catalog")
    text = (ROOT / "studies" / "paper.yaml").read_text()
    (tmp_path / "studies" / "paper.yaml").write_text(
        text.replace("bf16_stochastic_round: true", "bf16_stochastic_round: false")
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"rigsa\.adapter\.dtype is bfloat16, in which small"):
        load_study("paper")
