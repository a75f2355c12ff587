"""A training or an evaluation that another arm has already is taken and not made again."""

import json
import shutil
from pathlib import Path
from typing import Any

from rigsa.definitions import Definitions
from rigsa.forecast.cards import Card
from rigsa.forecast.plan import make_plan
from rigsa.forecast.setting import setting_from
from rigsa.forecast.show import show_plan
from rigsa.jobs import Job
from rigsa.paths import ResultPaths
from rigsa.paths import record as record_of
from rigsa.study import load_study
from tests.forecast.conftest import CONFIG
from tests.workflow.conftest import Project

ARMS = "results/embedded/arms"


def _denser(study: dict[str, Any]) -> None:
    mask = study["arms"]["rigsa"]["mask"] | {"density": 0.1}
    study["arms"]["denser"] = study["arms"]["rigsa"] | {"title": "Denser", "mask": mask}


def test_another_arm_s_dense_step_is_taken(finished: Project, tmp_path: Path) -> None:
    copy = Project(tmp_path / "project")
    shutil.copytree(finished.folder, copy.folder, symlinks=True, dirs_exist_ok=True)
    copy.edit("studies/embedded.yaml", _denser)
    made = f"{ARMS}/denser/seed0"
    wanted = [f"{made}/step{step}/eval/tiny_piqa.json" for step in (0, 1)]
    done = copy.snakemake("--cores", "all", *wanted)
    assert done.returncode == 0, done.stderr
    logs, arms = copy.folder / "results/embedded/logs", copy.folder / ARMS
    dense = (logs / "train-denser-seed0-step0.log").read_text()
    assert "denser/seed0/step0: is the training of rigsa/seed0/step0, which is taken." in dense
    assert "step 1 of" not in dense
    asked = (logs / "evaluate-denser-seed0-step0-tiny_piqa.log").read_text()
    assert "is the evaluation in" in asked
    # What differs is made: a mask of its own, and what is trained with it.
    assert "is taken" not in (logs / "train-denser-seed0-step1.log").read_text()
    assert "is taken" not in (logs / "evaluate-denser-seed0-step1-tiny_piqa.log").read_text()
    for file in ("adapter/adapter_model.safetensors", "training.jsonl", "training.json"):
        mine, other = (arms / arm / "seed0/step0" / file for arm in ("denser", "rigsa"))
        assert mine.read_bytes() == other.read_bytes()
    # Taken, it stands on its own: the arm that it was made for may go.
    copy.edit("studies/embedded.yaml", lambda study: study["arms"].pop("random_mask"))
    copy.edit("studies/embedded.yaml", lambda study: study["arms"].pop("rigsa"))
    assert "Nothing to be done" in copy.snakemake("-n", *wanted).stdout
    record = json.loads(record_of(arms / "denser/seed0/step0/training.json").read_text())
    assert record["seconds"] < 2


def test_what_is_defined_the_same_is_waited_for(finished: Project, tmp_path: Path) -> None:
    copy = Project(tmp_path / "project")
    shutil.copytree(finished.folder, copy.folder, symlinks=True, dirs_exist_ok=True)

    def faster(study: dict[str, Any]) -> None:
        mask = study["arms"]["rigsa"]["mask"]
        new = study["arms"]["rigsa"] | {"training": {"learning_rate": 2.0e-2}}
        for name, density in (("one", 0.1), ("two", 0.2), ("three", 0.3)):
            study["arms"][name] = new | {"title": name, "mask": mask | {"density": density}}

    copy.edit("studies/embedded.yaml", faster)
    wanted = [f"{ARMS}/{name}/seed0/step0/training.json" for name in ("three", "two")]
    planned = copy.snakemake("-n", *wanted).stdout
    waiting = [line for line in planned.splitlines() if "arms/one/seed0/step0/" in line]
    waiting = [line for line in waiting if line.strip().startswith("input:")]
    assert len(waiting) == 2
    # Of one file under two names, Snakemake would find input and output equally old, or not.
    assert all(line.count("arms/one/") == 1 for line in waiting)
    assert all("one/seed0/step0/training.provenance.json" in line for line in waiting)
    # Both jobs could begin at once; what they would come to is made first, by the first arm.
    done = copy.snakemake("--cores", "4", *wanted)
    assert done.returncode == 0, done.stderr
    logs = copy.folder / "results/embedded/logs"
    for name in ("two", "three"):
        text = (logs / f"train-{name}-seed0-step0.log").read_text()
        assert f"{name}/seed0/step0: is the training of one/seed0/step0, which is taken." in text
    again = copy.snakemake("-n", *wanted)
    assert "Nothing to be done" in again.stdout, again.stdout


def test_the_ablations_have_one_dense_step_where_it_is_the_same(project_root) -> None:
    study = load_study("ablations")
    definitions = Definitions(study, {"precision": "float32"})
    trained = [arm for arm in study.arms.values() if arm.trained]
    taken = {arm.name for arm in trained if definitions.known(Job("train", arm.name))}
    for name in ("by_layer", "keep_60", "movement", "random"):
        assert name in taken
        other = definitions.known(Job("evaluate", name, 0, 0, "textual_digits"))
        assert other == Job("evaluate", "rigsa", 0, 0, "textual_digits")
    for name in ("rigsa", "no_gate", "zero_init", "one_gate", "no_decay", "rewind", "early_bird"):
        assert name not in taken
    assert not any(definitions.known(Job("train", arm.name, 0, 1)) for arm in trained)


def test_a_plan_counts_them_once(project_root) -> None:
    study = load_study("methods")
    definitions = Definitions(study, {"precision": "float32"})
    taken = definitions.taken()
    # A trial of RIGSA at LoRA's size begins as RIGSA's own; the arm takes what its trials came to.
    assert Job("train", "rigsa_r4.lr0.01") in taken
    assert Job("train", "rigsa_r4.lr0.01", 0, 1) not in taken
    assert Job("train", "rigsa_r4", 0, 1) in taken
    assert Job("train", "rigsa.lr0.01") not in taken
    cpu = Card("cpu", 16 * 2**30, 100e9, 20e9)
    setting = setting_from(study, ResultPaths(Path("none"), study.name), cpu, CONFIG)
    dense = next(j for j in make_plan(setting, taken).jobs if j.place == ("rigsa_r4.lr0.01", 0, 0))
    assert dense.seconds > 1
    assert dense.all_seconds == dense.start_seconds
    text = show_plan(make_plan(setting, taken))
    assert "are those of another arm or of a trial, and take no time" in " ".join(text.split())
