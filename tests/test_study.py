"""The study as objects, its schedule of densities, and the settings that jobs are made from."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from rigsa import schedule, specs
from rigsa.study import Checkpoint, load_study


@pytest.fixture
def study(project_root):
    return load_study("embedded")


def test_checkpoints_are_arms_seeds_and_steps(study) -> None:
    points = study.checkpoints()
    assert Checkpoint("rigsa", 0, 4) in points
    assert [p for p in points if p.arm == "base"] == [Checkpoint("base", 0, 0)]
    assert len(points) == 2 + 5 + 1 + 4


def test_the_first_iteration_of_imp_is_dense_and_a_random_mask_is_there_at_once(study) -> None:
    assert [study.arms["rigsa"].masked(step) for step in range(5)] == [False] + [True] * 4
    assert study.arms["random_mask"].masked(0)
    assert not study.arms["qlora_r1"].masked(0)


def test_four_prunings_keep_43_percent_each(study) -> None:
    """3.46 % after four rounds of 0.431."""
    densities = [study.density("rigsa", step) for step in range(5)]
    assert densities[0] == 1
    assert densities[-1] == pytest.approx(0.0346)
    ratios = [after / before for before, after in pairwise(densities)]
    assert ratios == pytest.approx([0.431] * 4, abs=5e-4)
    assert study.density("random_mask", 0) == densities[-1]


def test_other_schedules() -> None:
    assert schedule.density({"densities": (1.0, 0.4, 0.1)}, 1, 3) == 0.4
    assert schedule.density({"keep": 0.8}, 2, 3) is None
    assert schedule.density({"density": 0.05}, 0, 1) == 0.05


def test_settings_are_a_slice_of_the_study(study) -> None:
    text = specs.canonical(specs.training_settings(study, "rigsa", 0, "float32"))
    assert "density" not in text
    assert "qlora" not in text
    assert "title" not in text
    mask = json.loads(specs.canonical(specs.mask_settings(study, "rigsa", 0, 2, "float32")))
    assert mask["density"] == pytest.approx(0.0346**0.5)
    assert "quantization" not in mask
    asked = json.loads(
        specs.canonical(
            specs.evaluation_settings(study, "qlora_r4", study.benchmarks["tiny_gsm"], "float32")
        )
    )
    assert asked["quantization"]["quant_type"] == "nf4"
    assert asked["fewshot"] == 5
    # A setting that a benchmark does not use is not among its own, and reruns nothing.
    assert "sampler" not in asked
    fixed = replace(study.benchmarks["tiny_gsm"], sampler="first_n")
    assert specs.evaluation_settings(study, "base", fixed, "float32")["sampler"] == "first_n"


def test_canonical_is_the_same_for_the_same_content() -> None:
    assert specs.canonical({"b": 1.0, "a": (1, 2)}) == specs.canonical({"a": [1, 2], "b": 1})
    assert specs.canonical({"a": 1e-4}) == specs.canonical({"a": 0.0001})
