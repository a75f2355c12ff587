"""Costs: what each arm is trained with and what that takes, in the rows of the summary."""

from rigsa.analysis import roles, scores
from rigsa.analysis.tables.cells import COUNT, NUMBER, SHARE, TEXT, Column, Kind, Row, Table
from rigsa.analysis.tables.summary import cost, shown
from rigsa.paths import ResultPaths
from rigsa.study import Study

MEGABYTES = Kind(lambda value: f"{value / 1e6:,.3g}", lambda value: (value,))
COLUMNS = (
    Column("arm", None, TEXT),
    Column("step", None, COUNT),
    Column("model", "Arm", TEXT),
    Column("density", "Density", SHARE),
    Column("parameters", "Trainable parameters", COUNT),
    Column("optimizer_state_bytes", "Optimizer state (MB)", MEGABYTES),
    Column("peak_memory_bytes", "Peak memory (MB)", MEGABYTES),
    Column("learning_rate", "Learning rate", NUMBER),
    Column("tried", "Rates tried", COUNT),
    Column("replay", "Replay", SHARE),
    Column("items_seen", "Items seen", COUNT),
    Column("seconds", "Seconds", COUNT),
)
NOTES = (
    "Items seen (of the target task) and seconds are those of all trainings up to the step, trials "
    "of learning rates left out; memory and optimizer state are those of the largest of them.",
    "Peak memory is the GPU's, or on a CPU that of the whole process, libraries and all.",
)


def make(study: Study, paths: ResultPaths) -> Table:
    measured, rows = scores.read(study, paths), []
    for arm in study.arms.values():
        if not arm.trained:
            continue
        for step in shown(arm):
            values = {
                "arm": arm.name,
                "step": step,
                "model": roles.step_title(arm, step),
                "density": measured.number(arm, step, "density"),
                "parameters": measured.number(arm, step, "trainable_parameters"),
                "tried": len(arm.rates) or 1,
                "replay": arm.training["replay"]["share"] if arm.replayed else None,
                **cost(measured, arm, step),
            }
            rows.append(Row(values, checkpoints=measured.checkpoints(arm, step)))
    return Table(
        name="costs",
        title=f"{study.title}: what every arm takes",
        columns=COLUMNS,
        rows=tuple(rows),
        notes=NOTES,
    )
