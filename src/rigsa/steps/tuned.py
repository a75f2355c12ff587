"""What choosing a mask and training have in common: a chosen learning rate, values gone back to."""

from pathlib import Path

from rigsa.errors import ConfigError
from rigsa.steps.spec import Spec
from rigsa.steps.step import argument

TUNING = argument(
    "--tuning",
    type=Path,
    metavar="FILE",
    help="which of the SPEC's learning rates was chosen, where it has several",
)
REWOUND = argument(
    "--rewind",
    type=Path,
    metavar="DIR",
    help="adapter of the dense training whose values of an early step are the initial ones",
)


def tuned(spec: Spec, tuning: Path | None) -> Spec:
    """The spec with the learning rate that was chosen of its several."""
    rate = spec["training"]["learning_rate"]
    if isinstance(rate, list) != (tuning is not None):
        several = "several learning rates; give" if tuning is None else "one; leave out"
        raise ConfigError(f"SPEC has {several} --tuning FILE, which says what was chosen.")
    if tuning is None:
        return spec
    from rigsa.training.tuning import chosen_rate

    training = Spec({**spec["training"], "learning_rate": chosen_rate(tuning, rate)})
    return Spec({**spec, "training": training})
