"""Definitions chain: what a result is made from, and only that, decides what it is defined by."""

import subprocess
import sys
from dataclasses import replace
from types import MappingProxyType

import pytest

from rigsa import specs
from rigsa.behind import behind
from rigsa.definitions import Definitions
from rigsa.jobs import Job
from rigsa.study import Study, load_study

CONFIG = {"precision": "float32"}
LAST = ("rigsa", 0, 4)


@pytest.fixture
def study(project_root) -> Study:
    return load_study("embedded")


def changed(study: Study, arm: str, **parts: object) -> Study:
    arms = {**study.arms, arm: replace(study.arms[arm], **parts)}
    return replace(study, arms=MappingProxyType(arms))


def redefined(before: Study, after: Study) -> set[Job]:
    old, new = Definitions(before, CONFIG), Definitions(after, CONFIG)
    return {job for job in new.graph if old.definition(job) != new.definition(job)}


def test_a_density_reaches_all_that_follows_from_its_masks(study: Study) -> None:
    mask = {**study.arms["rigsa"].mask, "density": 0.05}
    jobs = redefined(study, changed(study, "rigsa", mask=mask))
    assert Job("select_mask", "rigsa", 0, 1) in jobs
    assert Job("train", *LAST) in jobs
    assert Job("evaluate", "random_mask", 0, 0, "tiny_gsm") in jobs
    assert Job("figure", name="figure6") in jobs
    assert Job("train", "rigsa", 0, 0) not in jobs
    assert not any(job.arm.startswith(("qlora", "base")) for job in jobs)


@pytest.mark.parametrize(
    ("arm", "training", "chosen_anew"),
    [
        ("rosa", {"learning_rate": 0.1}, True),
        ("rosa", {"epochs": 2}, True),
        ("rosa", {"gpus": 2}, False),
        ("rosa", {"logs": 5}, False),
        ("sift", {"learning_rate": 0.1}, False),
        ("sift", {"batch_size": 8}, True),
    ],
)
def test_a_training_decides_the_mask_that_has_a_warmup(
    project_root, arm: str, training: dict, chosen_anew: bool
) -> None:
    study = load_study("methods_quick")
    after = changed(study, arm, training={**study.arms[arm].training, **training})
    jobs = redefined(study, after)
    assert Job("train", arm) in jobs
    assert (Job("select_mask", arm) in jobs) == chosen_anew


def test_a_warmup_decides_its_mask(project_root) -> None:
    study = load_study("methods_quick")
    mask = study.arms["rosa"].mask
    for more in ({"batches": 2}, {"warmup": {"steps": 5}}, {"warmup": {"steps": 4, "r": 2}}):
        after = changed(study, "rosa", mask={**mask, **more})
        assert Job("select_mask", "rosa") in redefined(study, after)
    # What its own adapter says already.
    same = {**mask, "warmup": {"steps": 4, "r": 4, "lora_alpha": 8}}
    shown = {job.rule for job in redefined(study, changed(study, "rosa", mask=same))}
    assert shown <= {"collect", "table", "figure"}


DENSE = ("rigsa", 0, 0)
PARTS = {"rewind": 0.02, "early_bird": {"every": 0.02}}


def with_part(study: Study, part: str, **more: object) -> Study:
    mask = {**study.arms["rigsa"].mask, part: PARTS[part], **more}
    return changed(study, "rigsa", mask=MappingProxyType(mask))


@pytest.mark.parametrize("part", PARTS)
def test_what_decides_the_dense_step_redefines_an_arm_from_there_on(study: Study, part) -> None:
    jobs = redefined(study, with_part(study, part))
    assert {job for job in jobs if job.arm == "rigsa"} == {
        job for job in Definitions(study, CONFIG).graph if job.arm == "rigsa"
    }
    assert not any(job.arm.startswith(("qlora", "base")) for job in jobs)


def test_later_steps_are_made_from_the_values_of_the_dense_one(study: Study) -> None:
    graph = Definitions(with_part(study, "rewind"), CONFIG).graph
    dense = Job("train", *DENSE)
    assert "rewind" not in graph.inputs(dense)
    for step in range(1, 5):
        assert graph.inputs(Job("train", "rigsa", 0, step))["rewind"] == dense
        assert graph.inputs(Job("select_mask", "rigsa", 0, step))["rewind"] == dense
    graph = Definitions(with_part(study, "rewind", rule="large_final"), CONFIG).graph
    assert "rewind" not in graph.inputs(Job("select_mask", "rigsa", 0, 2))


def test_an_early_dense_step_follows_its_mask_and_its_criterion_and_no_other(study: Study) -> None:
    early = with_part(study, "early_bird")
    denser = with_part(study, "early_bird", density=0.05)
    jobs = redefined(early, denser)
    assert Job("train", *DENSE) in jobs
    found = Definitions(early, CONFIG)
    assert found.spec(Job("train", *DENSE))["early_bird"]["mask"]["density"] == pytest.approx(
        0.431, abs=1e-3
    )
    assert "early_bird" not in found.spec(Job("train", *LAST))
    drawing = {"rigsa.training.early_bird", "rigsa.masks.criteria", "rigsa.masks.job"}
    assert drawing <= set(behind("train", found.spec(Job("train", *DENSE))))
    assert drawing.isdisjoint(behind("train", found.spec(Job("train", *LAST))))


def test_a_title_redefines_what_shows_it_and_nothing_else(study: Study) -> None:
    jobs = redefined(study, changed(study, "rigsa", title="Another"))
    assert {job.rule for job in jobs} == {"collect", "table", "figure"}


def test_jobs_come_after_what_they_are_made_from(study: Study) -> None:
    seen = set()
    graph = Definitions(study, CONFIG).graph
    for job in graph:
        assert seen.issuperset(graph.inputs(job).values())
        seen.add(job)


def test_every_spec_fits_a_command_line(study: Study) -> None:
    many = replace(study, seeds=tuple(range(50)))
    found = Definitions(many, CONFIG)
    assert max(len(found.text(job)) for job in found.graph) < 2000


def test_versions_define_results_only_where_they_are_to_be_followed(study: Study) -> None:
    job = Job("train", *LAST)
    followed = Definitions(study, CONFIG | {"library_changes": "rerun"})
    assert followed.spec(job)["versions"]["torch"]
    assert "versions" not in Definitions(study, CONFIG | {"library_changes": "warn"}).spec(job)
    assert "versions" not in followed.spec(Job("table", name="table1"))


def test_planning_does_not_wait_for_torch() -> None:
    code = "import rigsa.definitions, rigsa.freshness, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_report_says_of_a_study_is_in_one_order(project_root) -> None:
    # It is written into records: of a set's order, every process has another one.
    tasks = list(specs.outline(load_study("paper"))["tasks"])
    assert len(tasks) > 3
    assert tasks == sorted(tasks)
