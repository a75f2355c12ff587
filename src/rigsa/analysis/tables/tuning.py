"""Tuning: what every learning rate of the arms that have several came to, and which was chosen."""

from rigsa.analysis.tables.cells import NUMBER, PERCENT, TEXT, Column, Row, Table
from rigsa.errors import FileError
from rigsa.files import read_object
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Study

COLUMNS = (
    Column("arm", None, TEXT),
    Column("model", "Arm", TEXT),
    Column("learning_rate", "Learning rate", NUMBER),
    Column("chosen", "Chosen", TEXT),
    Column("validation_loss", "Validation loss", NUMBER),
    Column("validation_accuracy", "Validation accuracy (%)", PERCENT),
    Column("kl_to_base", "KL to the base (nats)", NUMBER),
)
HOW = (
    "Each rate was trained once, as the arm itself is, with the first seed; that with the least "
    "loss on the validation split was taken for all seeds. KL is between the adapted and the base "
    "model's answers there."
)
AT_THE_END = "The best rate is at an end of what was tried, so a better one may lie beyond: {}."


def make(study: Study, paths: ResultPaths) -> Table:
    rows, at_the_end = [], []
    for name in study.trials:
        arm = study.arms[name]
        content = read_object(paths.tuning(name))
        try:
            rows += [_row(arm, trial, content["learning_rate"]) for trial in content["trials"]]
        except (KeyError, TypeError):
            raise FileError(
                f"{paths.tuning(name)} cannot be read; delete it, and the next run makes it again."
            ) from None
        if content["learning_rate"] in (min(arm.rates), max(arm.rates)):
            at_the_end.append(arm.title)
    notes = [HOW] if rows else [f"The study {study.name} has no arm with several learning rates."]
    if at_the_end:
        notes.append(AT_THE_END.format(", ".join(at_the_end)))
    return Table(
        name="tuning",
        title="Learning rates that were tried",
        columns=COLUMNS,
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _row(arm: Arm, trial: dict[str, float], chosen: float) -> Row:
    mark = "yes" if trial["learning_rate"] == chosen else None
    return Row({"arm": arm.name, "model": arm.title, "chosen": mark, **trial})
