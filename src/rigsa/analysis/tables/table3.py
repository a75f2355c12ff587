"""Table 3: the base model on the source tasks, in full precision and in 4-bit."""

from rigsa.analysis import reference, roles, scores
from rigsa.analysis.tables import bases
from rigsa.analysis.tables.cells import Table
from rigsa.paths import ResultPaths
from rigsa.study import Study


def make(study: Study, paths: ResultPaths) -> Table:
    measured, paper = scores.read(study, paths), reference.read()
    benchmarks = roles.source_benchmarks(study)
    rows = bases.base_rows(measured, roles.base_arms(study), benchmarks)
    rows += bases.paper_rows(study, paper, "table3", benchmarks)
    return Table(
        name="table3",
        title="Source tasks: the base model in full precision and in 4-bit",
        columns=bases.columns(study, benchmarks),
        rows=tuple(rows),
        notes=bases.notes(study, paper, benchmarks, rows),
    )
