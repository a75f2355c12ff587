"""Every arm of studies/methods_quick.yaml goes through the two moves, on a tiny model."""

import json
from pathlib import Path

import pytest
import torch

from rigsa import specs
from rigsa.files import read_json, write_jsonl
from rigsa.machine import Machine
from rigsa.masks.budget import lora_parameters
from rigsa.masks.job import select_mask
from rigsa.masks.storage import load_mask
from rigsa.models.loading import load_checkpoint
from rigsa.models.shapes import adapted_shapes
from rigsa.paths import CheckpointPaths
from rigsa.study import load_study
from rigsa.training.gradients import summed_gradients
from rigsa.training.job import train
from tests.conftest import ROOT
from tests.training.test_replay import GSM

SHORT = {"epochs": 1, "logs": 1}


class Run:
    """A study's arms, trained in order; each folder is arm/seed0/step<t>."""

    def __init__(self, small_study: tuple[Path, Path], folder: Path) -> None:
        self.base, self.task = small_study
        self.folder, self.study = folder, load_study("methods_quick")
        self.shapes = adapted_shapes(self.base)
        self.source = folder / "source"
        write_jsonl(self.source / "train.jsonl", GSM)

    def checkpoint(self, arm: str, step: int) -> CheckpointPaths:
        return CheckpointPaths(self.folder / arm / "seed0" / f"step{step}")

    def last(self, arm: str) -> CheckpointPaths:
        return self.checkpoint(arm, self.study.arms[arm].iterations - 1)

    def make(self, arm: str) -> None:
        item = self.study.arms[arm]
        for step in range(item.iterations):
            mask = self.select(arm, step) if item.masked(step) else None
            spec = _plain(specs.training_settings(self.study, arm, 0, "float32", step))
            spec["training"] |= SHORT
            made, rewind = self.checkpoint(arm, step), self.rewind(arm, step)
            given = {"rewind": rewind, "replay_data": [self.source] * len(item.replayed)}
            train(spec, self.base, self.task, mask, made, Machine(), **given)

    def rewind(self, arm: str, step: int) -> Path | None:
        rewinds = step > 0 and "rewind" in self.study.arms[arm].mask
        return self.checkpoint(arm, 0).rewind if rewinds else None

    def select(self, arm: str, step: int) -> Path:
        item = self.study.arms[arm]
        spec = _plain(specs.mask_settings(self.study, arm, 0, step, "float32"))
        if "warmup" in spec:
            # The small task has three steps an epoch, and two are looked at.
            spec["warmup"] |= {"steps": 1, "training": {**spec["warmup"]["training"], "epochs": 1}}
        files = {"rewound": self.rewind(arm, step)}
        if step:
            before = self.checkpoint(arm, step - 1)
            files["previous_adapter"] = before.adapter
            files["previous_mask"] = before.mask if item.masked(step - 1) else None
        if "density_of" in item.mask:
            files["reference_mask"] = self.last(item.mask["density_of"]).mask

        def gradients() -> dict[str, torch.Tensor]:
            return summed_gradients(spec, self.base, self.task, Machine())

        output = self.checkpoint(arm, step).mask
        select_mask(spec, self.shapes, output, gradients=gradients, **files)
        return output


def _plain(settings: dict) -> dict:
    return json.loads(specs.canonical(settings))


@pytest.fixture(scope="module")
def run(small_study, tmp_path_factory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        made = Run(small_study, tmp_path_factory.mktemp("methods"))
    for name, arm in made.study.arms.items():
        if arm.trained:
            made.make(name)
    return made


def _trainable(run: Run, arm: str) -> int:
    return read_json(run.last(arm).training)["trainable_parameters"]


def test_every_arm_learns_and_can_be_asked(run: Run) -> None:
    """What it says, with the adapter, is something else than what the base model says."""
    asked = torch.arange(1, 9)[None]
    with torch.no_grad():
        base = load_checkpoint(run.base, None, Machine(), None)(asked).logits
        for name, arm in run.study.arms.items():
            if arm.trained:
                model = load_checkpoint(run.base, run.last(name).adapter, Machine(), None)
                assert not torch.equal(model(asked).logits, base), name


def test_arms_have_as_many_weights_as_they_say(run: Run) -> None:
    size = sum(shape.numel() for shape in run.shapes.values())
    lora = lora_parameters(4, list(run.shapes.values()))
    few = sum(round(0.006 * shape.numel()) for shape in run.shapes.values())
    expected = {
        "full": size,
        "full_every_weight": read_json(run.last("full").training)["total_parameters"],
        "lora_r4": lora,
        "shira_r4": lora,
        "shira_line": lora,
        "lt_sft": round(0.01 * size),
        "lt_sft_rounds": lora,
        "lota": round(0.1 * size),
        "spiel": sum(round(0.01 * shape.numel()) for shape in run.shapes.values()),
        "sift": sum(round(0.05 * shape.numel()) for shape in run.shapes.values()),
        "rosa": lora + few,
        "rosa_mask": few,
        "rigsa": round(0.0346 * size) + len(run.shapes),
        "rewinding": round(0.0346 * size) + len(run.shapes),
        "random_mask": round(0.0346 * size) + len(run.shapes),
        "random_matched": round(0.0346 * size) + len(run.shapes),
        # A gate for each row and column, as many as LoRA of rank 1 has parameters.
        "fine_gates": lora + lora // 4,
    }
    assert {arm: _trainable(run, arm) for arm in expected} == expected


def test_a_matched_random_mask_has_the_densities_of_its_model(run: Run) -> None:
    model, matched, uniform = (
        load_mask(run.last(arm).mask) for arm in ("rigsa", "random_matched", "random_mask")
    )
    for name in run.shapes:
        assert matched[name].sum() == model[name].sum()
    assert any(uniform[name].sum() != model[name].sum() for name in run.shapes)
    assert any(not torch.equal(matched[name], model[name]) for name in run.shapes)


def test_every_round_takes_weights_away_and_none_brings_one_back(run: Run) -> None:
    first, last = (load_mask(run.checkpoint("lt_sft_rounds", step).mask) for step in (1, 2))
    assert last.kept < first.kept
    assert all((first[name] | ~last[name]).all() for name in run.shapes)
