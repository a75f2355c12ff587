"""Choosing a learning rate: of trainings that differ in it alone, the one that generalises best."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rigsa.errors import FileError
from rigsa.files import read_object, write_json

MEASURED = ("validation_loss", "validation_accuracy", "kl_to_base")


def tune(spec: Mapping[str, Any], trainings: Sequence[Path], output: Path) -> None:
    """Writes the rate with the least loss on the validation split, and what each came to.

    The test split decides nothing, so that what is reported of it stays what was not looked at.

    Args:
        spec: "learning_rates", and by which number of theirs they are "chosen_by".
        trainings: the last training.json of each rate's trial.
    """
    trials = [
        {"learning_rate": rate, **_measured(file)}
        for rate, file in zip(spec["learning_rates"], trainings, strict=True)
    ]
    # Of equals the smaller: it moves the model less.
    best = min(trials, key=lambda trial: (trial[spec["chosen_by"]], trial["learning_rate"]))
    write_json(output, {"learning_rate": best["learning_rate"], "trials": trials})


def chosen_rate(tuning: Path, rates: Sequence[float]) -> float:
    """What `tune` has written. FileError where it is none of the rates."""
    rate = read_object(tuning).get("learning_rate")
    if rate not in rates:
        raise FileError(
            f"{tuning}: learning_rate is {rate!r}, which is none of those to choose from; delete "
            "the file, and the next run makes it again."
        )
    return rate


def _measured(file: Path) -> dict[str, float]:
    content = read_object(file)
    for name in MEASURED:
        value = content.get(name)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise FileError(
                f"{file}: {name} is {value!r}; it must be a number; delete the file, and the next "
                "run makes it again."
            )
    return {name: content[name] for name in MEASURED}
