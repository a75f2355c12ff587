"""scores.csv holds what the files hold, and every bad file is named."""

import json
from dataclasses import replace
from pathlib import Path

import pandas
import pytest

from rigsa.analysis import collect, scores
from rigsa.errors import FileError
from rigsa.paths import ResultPaths
from rigsa.study import Study
from tests.analysis.made_up import arm, make_study, write_results

FIRST = ("pruned", 0, 1)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Study, ResultPaths]:
    study = make_study()
    return study, write_results(study, tmp_path, items=20)


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_one_row_for_each_checkpoint_and_benchmark(made):
    study, paths = made
    frame = collect.collect(study, paths)
    asked = [
        (c.arm, c.step, b.name)
        for c in study.checkpoints()
        for b in study.benchmarks_of(c.arm, c.step)
    ]
    assert list(zip(frame["arm"], frame["step"], frame["benchmark"], strict=True)) == asked
    assert len(asked) == 2 * 5 + 5 * 4 + 5 * 4


def test_a_task_may_be_one_of_lm_eval_under_another_name(made):
    study, paths = made
    entries = {**study.task_entries, "sums": {**study.task_entries["sums"], "lm_eval": "stock"}}
    change(paths.checkpoint("plain", 0, 0).evaluation("sums"), task="sums")
    with pytest.raises(FileError, match="task is 'sums', but the study asks 'stock'"):
        collect.collect(replace(study, task_entries=entries), paths)
    for point in study.checkpoints():
        folder = paths.checkpoint(point.arm, point.seed, point.step)
        change(folder.evaluation("sums"), task="stock")
    frame = collect.collect(replace(study, task_entries=entries), paths)
    assert "sums" in set(frame["task"])


def test_a_row_holds_what_its_files_hold(made):
    study, paths = made
    folder = paths.checkpoint(*FIRST)
    change(folder.evaluation("ends"), score=0.25, stderr=0.125, metrics={"acc_norm": 0.75})
    change(folder.training, seconds=7.5, sign_kept=0.5, gate=None)
    frame = collect.collect(study, paths).set_index(["arm", "seed", "step", "benchmark"])
    row = frame.loc[(*FIRST, "ends")]
    assert (row["score"], row["stderr"], row["metric_acc_norm"], row["n"]) == (
        0.25,
        0.125,
        0.75,
        20,
    )
    assert (row["training_seconds"], row["sign_kept"], row["role"]) == (7.5, 0.5, "source")
    assert row["density"] == row["scheduled_density"] == pytest.approx(0.0346**0.25)
    assert pandas.isna(row["gate"])
    assert row["trainable_parameters"] == round(1_572_864 * 0.0346**0.25)
    assert frame.loc[("plain", 0, 0, "digits"), "trainable_parameters"] == 0
    assert pandas.isna(frame.loc[("q4", 0, 0, "digits"), "scheduled_density"])


def test_a_missing_standard_error_is_computed(made):
    study, paths = made
    change(paths.checkpoint(*FIRST).evaluation("sums"), score=0.5, stderr=None, n=101)
    frame = collect.collect(study, paths).set_index(["arm", "seed", "step", "benchmark"])
    assert frame.loc[(*FIRST, "sums"), "stderr"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"score": "0.5"}, "score is '0.5'"),
        ({"score": None}, "score is None"),
        ({"score": float("nan")}, "score is nan"),
        ({"score": 93.0}, "score is 93.0; it must be a share"),
        ({"score": True}, "score is True"),
        ({"n": 0}, "n is 0"),
        ({"n": 2.5}, "n is 2.5"),
        ({"stderr": "N/A"}, "stderr is 'N/A'"),
        ({"metrics": [1]}, "metrics is no mapping"),
        ({"task": "pairs"}, "task is 'pairs', but the study asks 'sums'"),
        ({"fewshot": 0}, "fewshot is 0, but the study asks 5"),
    ],
)
def test_an_unfit_evaluation_is_named(made, values, complaint):
    study, paths = made
    path = paths.checkpoint(*FIRST).evaluation("sums")
    change(path, **values)
    with pytest.raises(FileError) as error:
        collect.collect(study, paths)
    assert str(path) in str(error.value)
    assert complaint in str(error.value)


def test_a_training_without_parameters_is_named(made):
    study, paths = made
    path = paths.checkpoint(*FIRST).training
    change(path, trainable_parameters=None)
    with pytest.raises(FileError, match="trainable_parameters"):
        collect.collect(study, paths)


@pytest.mark.parametrize("text", [None, '{"score": 0.', "[]", ""])
@pytest.mark.parametrize("name", ["evaluation", "training"])
def test_a_missing_or_truncated_file_is_named(made, text, name):
    study, paths = made
    folder = paths.checkpoint(*FIRST)
    path = folder.training if name == "training" else folder.evaluation("pairs")
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(FileError) as error:
        collect.collect(study, paths)
    assert str(path) in str(error.value)


def test_the_file_is_the_same_each_time(made):
    study, paths = made
    collect.run(study, paths)
    first = paths.scores.read_bytes()
    collect.run(study, paths)
    assert paths.scores.read_bytes() == first


def test_scores_read_back_combine_seeds(collected):
    study, paths = collected(seeds=(0, 1, 2))
    frame = pandas.read_csv(paths.scores)
    rows = frame[(frame.arm == "pruned") & (frame.step == 2) & (frame.benchmark == "sums")]
    read, pruned = scores.read(study, paths), study.arms["pruned"]
    estimate = read.estimate(pruned, 2, study.benchmarks["sums"])
    assert estimate.value == pytest.approx(rows["score"].mean())
    assert estimate.error > rows["stderr"].min()
    assert read.number(pruned, 2, "density") == pytest.approx(0.0346**0.5)
    assert read.number(pruned, 2, "sign_kept", seed=1) == 0.97
    assert read.estimate(pruned, 2, study.benchmarks["digits_5shot"]) is None


def test_an_arm_called_null_is_an_arm(collected):
    study, paths = collected([arm("null", "Base")])
    assert scores.read(study, paths).estimate(study.arms["null"], 0, study.benchmarks["sums"])


@pytest.mark.parametrize("text", [None, "", "arm,step\n", "arm,step\n1"])
def test_unreadable_scores_are_named(collected, text):
    study, paths = collected()
    if text is None:
        paths.scores.unlink()
    else:
        paths.scores.write_text(text)
    with pytest.raises(FileError, match=r"scores\.csv"):
        scores.read(study, paths)


def test_scores_of_a_smaller_study_are_refused(collected):
    _, paths = collected()
    larger = make_study(seeds=(0, 1))
    with pytest.raises(FileError, match="no row for digits of arm pruned, seed 1, step 0"):
        scores.read(larger, paths)
