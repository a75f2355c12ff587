"""Table 2: the base model on the target task before it learns it, in every number of examples."""

from rigsa.analysis import reference, roles, scores
from rigsa.analysis.tables import bases
from rigsa.analysis.tables.cells import Table
from rigsa.paths import ResultPaths
from rigsa.study import Study


def make(study: Study, paths: ResultPaths) -> Table:
    measured, paper = scores.read(study, paths), reference.read()
    benchmarks = sorted(
        (b for b in study.benchmarks.values() if b.task == study.target_task),
        key=lambda b: b.fewshot,
    )
    rows = bases.base_rows(measured, roles.base_arms(study), benchmarks)
    rows += bases.paper_rows(study, paper, "table2", benchmarks)
    chance = study.task_entries[study.target_task].get("chance")
    by_chance = () if chance is None else (f"Guessing scores {100 * chance:.3g} %.",)
    return Table(
        name="table2",
        title="Target task: the base model before training",
        columns=bases.columns(study, benchmarks, shots=True),
        rows=tuple(rows),
        notes=(*by_chance, *bases.notes(study, paper, benchmarks, rows)),
    )
