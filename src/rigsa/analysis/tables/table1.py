"""Table 1: source scores as the base model's authors report them, beside those measured here."""

from rigsa.analysis import reference, roles, scores
from rigsa.analysis.statistics import Estimate
from rigsa.analysis.tables import bases
from rigsa.analysis.tables.cells import Row, Table
from rigsa.paths import ResultPaths
from rigsa.study import Study

# HellaSwag is reported by its length-normalised accuracy as often as by the plain one.
NORMALISED = "acc_norm"


def make(study: Study, paths: ResultPaths) -> Table:
    measured, paper = scores.read(study, paths), reference.read()
    benchmarks = roles.source_benchmarks(study)
    full = [arm for arm in roles.base_arms(study) if arm.base == "full"]
    rows = bases.base_rows(measured, full, benchmarks)
    for arm in full:
        values = {b.name: measured.metric(arm, 0, b, NORMALISED) for b in benchmarks}
        found = {name: Estimate(value) for name, value in values.items() if value is not None}
        if found:
            title = f"{arm.title}, normalised by length"
            rows.append(Row({"model": title} | found, checkpoints=measured.checkpoints(arm, 0)))
    rows += bases.paper_rows(study, paper, "table1", benchmarks)
    return Table(
        name="table1",
        title="Source tasks: the base model as reported and as measured",
        columns=bases.columns(study, benchmarks),
        rows=tuple(rows),
        notes=bases.notes(study, paper, benchmarks, rows),
    )
