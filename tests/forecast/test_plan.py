"""The forecast of a whole study: what fits, how long it takes, and what it was compared to."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rigsa.cli import main
from rigsa.errors import ConfigError
from rigsa.forecast.cards import CARDS, Card, card
from rigsa.forecast.jobs import Job, largest_batch
from rigsa.forecast.measured import measured
from rigsa.forecast.memory import training_peak
from rigsa.forecast.plan import Plan, make_plan
from rigsa.forecast.setting import Setting, setting_from
from rigsa.forecast.shape import study_shape
from rigsa.forecast.show import WIDTH, show_measured, show_plan
from rigsa.forecast.speed import cpu_card
from rigsa.paths import ResultPaths
from rigsa.study import load_study
from tests.forecast.conftest import CONFIG
from tests.forecast.paper import paper


def test_an_unknown_card_is_one_sentence_with_all_cards(project_root: Path, capsys) -> None:
    with pytest.raises(ConfigError, match="did you mean 'rtx4090'") as error:
        card("rtx4900", "--gpu")
    assert all(name in str(error.value) for name in CARDS)
    assert main(["plan", "--study", "embedded", "--gpu", "rtx4900"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_job_that_does_not_fit_is_named_with_the_way_out(on_card: Callable[..., Setting]) -> None:
    plan = make_plan(on_card(study=paper("adamw_torch_fused")))
    (sentence,) = [misfit for misfit in plan.misfits if misfit.startswith("train")]
    assert sentence.startswith("train rigsa step 0 takes 28.8 GiB at micro_batch_size 8")
    assert "too little even for one row: try an optimizer with 8-bit state" in sentence
    assert "  NO  " in show_plan(plan)
    small = make_plan(on_card("rtx4090", eval_batch_size=16))
    assert any("textual_mnist_5shot" in m and "lower eval_batch_size" in m for m in small.misfits)
    assert not make_plan(on_card("h100")).misfits


def test_the_largest_batch_fits_and_one_more_does_not(on_card: Callable[..., Setting]) -> None:
    setting = on_card()
    for job in make_plan(setting).jobs:
        if job.rule == "train":
            arm = setting.study.arms[job.arm]
            sizes = [setting.workload(arm, job.step, job.most_rows + more) for more in (0, 1)]
            fits = [training_peak(work) <= setting.room for work in sizes]
            assert fits == [True, False]
    assert largest_batch(lambda rows: 10 * rows, 5) == 0


def test_a_batch_that_is_found_fits(on_card: Callable[..., Setting]) -> None:
    plan = make_plan(on_card(eval_batch_size="auto"))
    found = {job.benchmark: job for job in plan.jobs if job.arm == "base"}
    assert all(plan.fits(job) for job in found.values())
    assert found["piqa"].rows == 256
    assert found["textual_mnist_5shot"].rows == 8


def test_hours_are_those_of_the_operations(on_card: Callable[..., Setting]) -> None:
    """At least 6 operations a weight and token, with recomputation 8, at half of 165 TFLOP/s."""
    plan = make_plan(on_card())
    dense = next(job for job in plan.jobs if job.rule == "train" and job.arm == "rigsa")
    tokens = 59_400 * 854
    least = 8 * 1_610_612_736 * tokens / (0.5 * 165e12)
    assert least < dense.seconds < 1.2 * least
    faster = make_plan(on_card("h100"))
    assert _seconds(faster) < _seconds(plan)
    qlora = next(job for job in plan.jobs if job.rule == "train" and job.arm == "qlora_r1")
    assert qlora.seconds > 3 * dense.seconds  # Four epochs.


def _seconds(plan: Plan) -> float:
    return sum(job.seconds for job in plan.jobs)


def test_more_rows_in_a_pass_never_take_longer(on_card: Callable[..., Setting]) -> None:
    hours = [_seconds(make_plan(on_card(micro_batch_size=rows))) for rows in (1, 4, 16)]
    assert hours == sorted(hours, reverse=True)


def test_an_unscheduled_density_is_the_most_it_can_be(on_card: Callable[..., Setting]) -> None:
    study = paper("adamw_bnb_8bit")
    arms = dict(study.arms)
    arms["rigsa"] = replace(arms["rigsa"], mask={"rule": "large_final_same_sign", "keep": 0.5})
    setting = on_card(study=replace(study, arms=arms))
    assert setting.density(arms["rigsa"], 2) == 0.25
    assert setting.density(arms["random_mask"], 0) == 0.5**4


def test_the_terminal_shows_every_arm_in_its_width(on_card: Callable[..., Setting]) -> None:
    text = show_plan(make_plan(on_card()))
    assert max(map(len, text.splitlines())) <= WIDTH
    for title in ("RIGSA, step 4", "Random mask", "QLoRA r16", "Total", "Base, 4-bit"):
        assert f"\n{title}" in text
    assert "1,610,612,904" in text


def test_json_has_every_job_by_its_keys(project_root: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "plan.json"
    arguments = ["plan", "--study", "paper", "--gpu", "h100", "--results", str(tmp_path)]
    assert main([*arguments, "--json", str(file)]) == 0
    assert "on h100 (80 GiB)" in capsys.readouterr().out
    content = json.loads(file.read_text())
    keys = [
        tuple(job[key] for key in ("rule", "arm", "seed", "step", "benchmark"))
        for job in content["jobs"]
    ]
    assert len(set(keys)) == len(keys)
    assert ("evaluate", "rigsa", 0, 4, "gsm8k") in keys
    assert ("select_mask", "random_mask", 0, 0, None) in keys
    assert all(job["minutes"] > 0 and job["memory_mb"] > 0 for job in content["jobs"])


def test_a_study_for_a_gpu_asks_which_one(project_root: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("rigsa.study.load_study", lambda name: paper())
    assert main(["plan", "--study", "paper"]) == 1
    assert "say on which one: --gpu rtx3090, rtx4090" in capsys.readouterr().err


def test_a_cpu_by_given_rates_and_by_measured_ones(
    project_root: Path, tmp_path: Path, capsys
) -> None:
    arguments = ["plan", "--study", "embedded", "--device", "cpu", "--results", str(tmp_path)]
    assert main([*arguments, "--gflops", "100", "--bandwidth", "20"]) == 0
    assert "70 % of 100 GFLOP/s and 20 GB/s" in capsys.readouterr().out
    shape = study_shape(load_study("embedded"), ResultPaths(tmp_path, "embedded"))
    measured_here = cpu_card(shape, rows=64, threads=1, flops=None, bandwidth=2e10)
    assert measured_here.flops > 1e8
    assert measured_here.bandwidth == 2e10


def test_the_forecast_stands_beside_what_was_measured(project_root: Path, tmp_path: Path) -> None:
    paths = ResultPaths(tmp_path, "embedded")
    cpu = Card("cpu", 16 * 2**30, 100e9, 20e9)
    plan = make_plan(setting_from(load_study("embedded"), paths, cpu, CONFIG))
    assert measured(plan) == []
    job = next(job for job in plan.jobs if job.rule == "train")
    place = paths.checkpoint(job.arm, job.seed, job.step)
    place.folder.mkdir(parents=True)
    taken = {"seconds": 9.0, "step_seconds": job.seconds / 2, "peak_memory_bytes": job.host_bytes}
    place.training.write_text(json.dumps(taken))
    asked = place.evaluation("tiny_gsm")
    asked.parent.mkdir()
    asked.write_text(json.dumps({"seconds": 8.0}))
    found = measured(plan)
    assert [comparison.job.rule for comparison in found] == ["train", "evaluate"]
    line = next(t for t in show_measured(found, plan).splitlines() if t.startswith("RIGSA, step 0"))
    assert line.split()[5:6] == ["2.00"]
    assert line.split()[8] == "1.00"


def test_cards_that_share_a_training_divide_its_seconds(on_card: Callable[..., Setting]) -> None:
    study = paper("adamw_bnb_8bit")
    training = {**study.arms["rigsa"].training, "gpus": 4}
    shared = replace(study.arms["rigsa"], training=training)
    one, four = (
        make_plan(on_card(study=item))
        for item in (study, replace(study, arms={**study.arms, "rigsa": shared}))
    )
    alone, together = (_dense(plan) for plan in (one, four))
    assert alone.seconds / 4.2 < together.seconds < alone.seconds / 3
    assert together.device_bytes <= alone.device_bytes
    assert [plan.as_json()["jobs"][0]["gpus"] for plan in (one, four)] == [1, 1]
    assert together.resources()["gpus"] == 4
    assert "gpus: 4 is counted by card" in " ".join(show_plan(four).split())
    assert "by card" not in show_plan(one)
    parts = make_plan(on_card(study=four.setting.study, shard_base_model=True))
    # Three quarters of 3.2 GB of linear layers, less the three of 24 layers that are whole.
    saved = together.device_bytes - _dense(parts).device_bytes
    assert 1.9e9 < saved < 2.1e9


def _dense(plan: Plan) -> Job:
    return next(job for job in plan.jobs if (job.rule, job.arm, job.step) == ("train", "rigsa", 0))
