"""The summary: what each arm learnt, what it forgot, and what it cost."""

from collections.abc import Callable

from rigsa.analysis import reference, roles, scores
from rigsa.analysis.comparison import Falls
from rigsa.analysis.scores import Scores
from rigsa.analysis.statistics import Estimate
from rigsa.analysis.tables import bases
from rigsa.analysis.tables.cells import (
    COUNT,
    ESTIMATE,
    FALL,
    NUMBER,
    SHARE,
    TEXT,
    Column,
    Row,
    Table,
)
from rigsa.analysis.text import fall_key
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Benchmark, Study

FALLS = (
    "Fall: points below the arm's own base (full precision or 4-bit) on the same items, with a "
    "95 % bootstrap interval; * marks p < 0.05 in the exact McNemar test after Holm's correction "
    "over the source tasks."
)
CLOSED = (
    "Closed: share of the adapted weights that stand in a row or column whose gate is 0 after "
    "training; `rigsa shrink` takes out these and what goes with them."
)
# Columns in CSV alone.
COSTS = (
    "replay",
    "learning_rate",
    "items_seen",
    "seconds",
    "optimizer_state_bytes",
    "peak_memory_bytes",
)
SEEDS = "Means over {} seeds; errors and intervals are over seeds and items."


def shown(arm: Arm) -> list[int]:
    """Steps of an arm that the summary shows: the last, and the dense one where it was pruned."""
    return sorted({0, arm.iterations - 1})


def cost(measured: Scores, arm: Arm, step: int) -> dict[str, float | None]:
    """What it takes to come to a step, with all steps before it; means over the seeds.

    Memory, and the optimizer's state in it, are those of the largest of these trainings.
    """
    steps = range(step + 1)

    def of_all(column: str, together: Callable[[list[float]], float]) -> float | None:
        found = [measured.number(arm, each, column) for each in steps]
        return None if None in found else together(found)

    return {
        "learning_rate": measured.number(arm, step, "learning_rate"),
        "items_seen": of_all("items_seen", sum),
        "seconds": of_all("training_seconds", sum),
        "optimizer_state_bytes": of_all("optimizer_state_bytes", max),
        "peak_memory_bytes": of_all("peak_memory_bytes", max),
    }


def make(study: Study, paths: ResultPaths) -> Table:
    measured, paper, falls = scores.read(study, paths), reference.read(), Falls(study, paths)
    target, sources = roles.target_benchmark(study), roles.source_benchmarks(study)
    rows = []
    for arm in study.arms.values():
        for step in shown(arm):
            values = {
                "arm": arm.name,
                "model": roles.step_title(arm, step),
                "step": step,
                "density": measured.number(arm, step, "density"),
                "closed": measured.number(arm, step, "closed_weights"),
                "parameters": measured.number(arm, step, "trainable_parameters"),
                "replay": arm.training["replay"]["share"] if arm.replayed else None,
                **cost(measured, arm, step),
            }
            for benchmark in (target, *sources):
                values[benchmark.name] = measured.estimate(arm, step, benchmark)
            lost = falls.of_sources(arm, step)
            values |= {fall_key(b.name): lost.get(b.name) for b in sources}
            rows.append(Row(values, checkpoints=measured.checkpoints(arm, step)))
    gated = any(row.values["closed"] is not None for row in rows)
    rows += _paper_rows(study, paper, [target, *sources])
    several = (SEEDS.format(len(study.seeds)),) if len(study.seeds) > 1 else ()
    return Table(
        name="summary",
        title=f"{study.title}: learning and forgetting of every arm",
        columns=_columns(study, target, sources, gated),
        rows=tuple(rows),
        notes=(
            *several,
            *((CLOSED,) if gated else ()),
            FALLS,
            *_replayed(study),
            *bases.notes(study, paper, [target, *sources], rows),
        ),
    )


def _columns(
    study: Study, target: Benchmark, sources: list[Benchmark], gated: bool
) -> tuple[Column, ...]:
    columns = [
        Column("arm", None, TEXT),
        Column("step", None, COUNT),
        Column("model", "Model", TEXT),
        Column("density", "Density", SHARE),
        *([Column("closed", "Closed", SHARE)] if gated else []),
        Column("parameters", "Trainable parameters", COUNT),
        # To be read in the table of costs.
        *(Column(key, None, NUMBER) for key in COSTS),
        Column(target.name, f"{roles.benchmark_title(study, target)} (%)", ESTIMATE),
    ]
    for benchmark in sources:
        title = roles.benchmark_title(study, benchmark)
        columns.append(Column(benchmark.name, f"{title} (%)", ESTIMATE))
        columns.append(Column(fall_key(benchmark.name), "Fall (points)", FALL))
    return tuple(columns)


def _replayed(study: Study) -> tuple[str, ...]:
    """Who has seen source tasks in training, which the others' falls are not to be held against."""
    titles = [arm.title for arm in study.arms.values() if arm.replayed]
    return (f"With items of source tasks in every batch: {', '.join(titles)}.",) if titles else ()


def _paper_rows(study: Study, paper: reference.Paper, benchmarks: list[Benchmark]) -> list[Row]:
    rows = []
    for item in paper.tables["summary"]:
        found = {b.name: item.score(study, b) for b in benchmarks}
        values = {name: Estimate(score) for name, score in found.items() if score is not None}
        if values:
            rows.append(Row({"model": item.title, "density": item.density, **values}, True))
    return rows
