"""Falls against an arm's own base, item by item."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from rigsa.analysis.comparison import Falls, read_scores
from rigsa.errors import FileError
from rigsa.evaluation import samples_file
from rigsa.evaluation.samples_file import read_samples
from tests.analysis.made_up import arm, lora_arm, make_study, write_results, write_samples


def answers(right: int, items: int = 20) -> np.ndarray:
    return np.repeat([1.0, 0.0], [right, items - right])


@pytest.fixture
def made(tmp_path: Path):
    study = make_study()
    return study, write_results(study, tmp_path, items=20)


def test_a_fall_is_base_minus_checkpoint(made):
    study, paths = made
    write_samples(paths.checkpoint("plain", 0, 0).samples("sums"), answers(15))
    write_samples(paths.checkpoint("pruned", 0, 3).samples("sums"), answers(9))
    fall = Falls(study, paths).of(study.arms["pruned"], 3, study.benchmarks["sums"])
    assert fall.mean == pytest.approx(6 / 20)
    assert fall.p == pytest.approx(2 / 2**6)  # six items lost, none gained
    assert fall.low < 0.3 < fall.high
    assert fall.items == 20


def test_each_arm_is_compared_with_its_own_base(made):
    study, paths = made
    write_samples(paths.checkpoint("plain", 0, 0).samples("sums"), answers(20))
    write_samples(paths.checkpoint("quantised", 0, 0).samples("sums"), answers(10))
    write_samples(paths.checkpoint("q4", 0, 0).samples("sums"), answers(8))
    fall = Falls(study, paths).of(study.arms["q4"], 0, study.benchmarks["sums"])
    assert fall.mean == pytest.approx(0.1)


def test_holm_is_over_the_source_tasks(made):
    study, paths = made
    for task, right in (("sums", 9), ("pairs", 15), ("ends", 15)):
        write_samples(paths.checkpoint("plain", 0, 0).samples(task), answers(15))
        write_samples(paths.checkpoint("pruned", 0, 3).samples(task), answers(right))
    falls = Falls(study, paths).of_sources(study.arms["pruned"], 3)
    assert list(falls) == ["sums", "pairs", "ends"]
    assert falls["sums"].p == pytest.approx(3 * 2 / 2**6)
    assert falls["pairs"].p == 1


def test_items_are_matched_by_doc_id(made):
    study, paths = made
    base, path = (paths.checkpoint(*c).samples("sums") for c in (("plain", 0, 0), ("pruned", 0, 3)))
    samples_file.write_samples(path, read_samples(base).to_dict("records")[::-1])
    fall = Falls(study, paths).of(study.arms["pruned"], 3, study.benchmarks["sums"])
    assert (fall.mean, fall.p) == (0, 1)


def test_other_items_are_refused(made):
    study, paths = made
    path = paths.checkpoint("pruned", 0, 3).samples("sums")
    write_samples(path, answers(5, items=19))
    with pytest.raises(FileError, match="different items"):
        Falls(study, paths).of(study.arms["pruned"], 3, study.benchmarks["sums"])


def test_bases_and_arms_without_a_base_have_no_fall(tmp_path: Path):
    study = make_study([arm("plain", "Base"), lora_arm("q1", "QLoRA r1", 1)])
    falls = Falls(study, write_results(study, tmp_path, items=20))
    assert falls.of(study.arms["plain"], 0, study.benchmarks["sums"]) is None
    assert falls.of_sources(study.arms["q1"], 0) == {}


def test_graded_answers_have_an_interval_but_no_mcnemar(made):
    study, paths = made
    write_samples(paths.checkpoint("pruned", 0, 3).samples("sums"), np.linspace(0, 1, 20))
    fall = Falls(study, paths).of(study.arms["pruned"], 3, study.benchmarks["sums"])
    assert fall.p is None
    assert fall.low < fall.mean < fall.high


@pytest.mark.parametrize("damage", ["missing", "column", "twice", "empty", "nan"])
def test_a_bad_samples_file_is_named(tmp_path: Path, damage: str):
    path = tmp_path / "sums.samples.parquet"
    frame = pandas.DataFrame({"doc_id": [0, 1, 2], "score": [1.0, 0.0, 1.0]})
    changed = {
        "column": frame.rename(columns={"score": "points"}),
        "twice": frame.assign(doc_id=[0, 1, 1]),
        "empty": frame.iloc[:0],
        "nan": frame.assign(score=[1.0, None, 0.0]),
    }
    if damage != "missing":
        samples_file.write_samples(path, changed[damage].to_dict("records"))
    with pytest.raises(FileError, match=r"sums\.samples\.parquet"):
        read_scores(path)
