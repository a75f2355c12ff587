"""Choosing a learning rate: by the validation split, and only of what the study says."""

import json

import pytest

from rigsa.errors import FileError
from rigsa.files import read_json
from rigsa.training.tuning import chosen_rate, tune

RATES = [1e-3, 3e-3, 1e-2]


def trials(folder, losses):
    files = []
    for number, loss in enumerate(losses):
        totals = {"validation_loss": loss, "validation_accuracy": 0.9, "kl_to_base": 1.0}
        # The loss on the training items decides nothing.
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps({**totals, "loss": -number}))
    return files


def chosen(folder, losses):
    spec = {"learning_rates": RATES, "chosen_by": "validation_loss"}
    tune(spec, trials(folder, losses), folder / "chosen.json")
    return chosen_rate(folder / "chosen.json", RATES)


@pytest.mark.parametrize(
    ("losses", "rate"),
    [([0.3, 0.2, 0.4], 3e-3), ([0.3, 0.2, 0.1], 1e-2), ([0.3, 0.2, 0.2], 3e-3)],
    ids=["in the middle", "at the end", "of equals the smaller"],
)
def test_the_least_validation_loss(losses, rate, tmp_path) -> None:
    assert chosen(tmp_path, losses) == rate
    kept = read_json(tmp_path / "chosen.json")["trials"]
    assert [trial["learning_rate"] for trial in kept] == RATES
    assert [trial["validation_loss"] for trial in kept] == losses


def test_a_trial_that_measured_nothing_is_named(tmp_path) -> None:
    with pytest.raises(FileError, match=r"1\.json: validation_loss is None; it must be a number"):
        chosen(tmp_path, [0.3, None, 0.2])


def test_a_choice_of_another_study_is_refused(tmp_path) -> None:
    chosen(tmp_path, [0.3, 0.2, 0.4])
    with pytest.raises(FileError, match=r"learning_rate is 0\.003, which is none of those"):
        chosen_rate(tmp_path / "chosen.json", [1e-4, 2e-4])
