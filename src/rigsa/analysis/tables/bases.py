"""The parts that tables 1 to 3 share: base models as rows, the paper's rows after them."""

from collections.abc import Sequence

from rigsa.analysis import reference, roles
from rigsa.analysis.scores import Scores
from rigsa.analysis.statistics import Estimate
from rigsa.analysis.tables.cells import ESTIMATE, TEXT, Column, Row
from rigsa.study import Arm, Benchmark, Study

EXTREME = (
    "The standard error of a score of 0 or 100 % comes out as 0, which is too small: with n items "
    "the true share may still be about 3/n away."
)


def columns(
    study: Study, benchmarks: Sequence[Benchmark], *, shots: bool = False
) -> tuple[Column, ...]:
    """Model, then one column a benchmark, in percent."""
    first = Column("model", "Model", TEXT)
    rest = []
    for benchmark in benchmarks:
        title = roles.benchmark_title(study, benchmark)
        if shots and not benchmark.fewshot:
            title += ", 0-shot"
        rest.append(Column(benchmark.name, f"{title} (%)", ESTIMATE))
    return (first, *rest)


def base_rows(scores: Scores, bases: Sequence[Arm], benchmarks: Sequence[Benchmark]) -> list[Row]:
    return [
        Row(
            {"model": arm.title} | {b.name: scores.estimate(arm, 0, b) for b in benchmarks},
            checkpoints=scores.checkpoints(arm, 0),
        )
        for arm in bases
    ]


def paper_rows(
    study: Study, paper: reference.Paper, table: str, benchmarks: Sequence[Benchmark]
) -> list[Row]:
    """The paper's rows that have a score on what at least one benchmark stands for."""
    rows = []
    for item in paper.tables[table]:
        scores = {b.name: item.score(study, b) for b in benchmarks}
        found = {name: Estimate(score) for name, score in scores.items() if score is not None}
        if found:
            rows.append(Row({"model": item.title} | found, reference=True))
    return rows


def notes(
    study: Study, paper: reference.Paper, benchmarks: Sequence[Benchmark], rows: Sequence[Row]
) -> tuple[str, ...]:
    """What ± is, whose the marked rows are, and in whose place a task stands."""
    found = ["Scores are ± one standard error."]
    values = [value for row in rows for value in row.values.values()]
    if any(isinstance(v, Estimate) and v.error == 0 and v.value in (0, 1) for v in values):
        found.append(EXTREME)
    if any(row.reference for row in rows):
        found.append(paper.note)
        stands = [
            f"{study.task_entries[b.task]['title']} for {roles.paper_name(study, b)}"
            for b in benchmarks
            if roles.paper_name(study, b) != study.task_entries[b.task]["title"]
        ]
        if stands:
            pairs = ", ".join(dict.fromkeys(stands))
            found.append(f"Tasks of this study that stand for the paper's: {pairs}.")
    if not any(not row.reference for row in rows):
        found.insert(0, f"The study {study.name} has no base model among its arms.")
    return tuple(found)
