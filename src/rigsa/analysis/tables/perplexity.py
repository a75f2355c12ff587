"""Perplexity: what the base model's own domain costs a model that has learnt another one.

The comparison of Neutral Residues (arXiv 2410.02744, section 5): the new domain learnt against the
old one's perplexity.
"""

from rigsa.analysis import roles, scores
from rigsa.analysis.tables.cells import ESTIMATE, NUMBER, TEXT, Column, Row, Table
from rigsa.paths import ResultPaths
from rigsa.study import Study

METRIC = "perplexity"
NOTE = (
    "Perplexity of a whole answer given its question, the geometric mean over items; 1 is "
    "certainty. Times: that of the arm over that of its own base."
)


def make(study: Study, paths: ResultPaths) -> Table:
    measured, target = scores.read(study, paths), roles.target_benchmark(study)
    asked = [
        benchmark
        for benchmark in study.benchmarks.values()
        if any(measured.metric(arm, 0, benchmark, METRIC) for arm in roles.base_arms(study))
    ]
    rows = []
    for arm in study.arms.values() if asked else ():
        step, base = arm.iterations - 1, roles.base_of(study, arm)
        values = {
            "arm": arm.name,
            "model": roles.step_title(arm, step),
            target.name: measured.estimate(arm, step, target),
        }
        for benchmark in asked:
            found = measured.metric(arm, step, benchmark, METRIC)
            before = base and measured.metric(base, 0, benchmark, METRIC)
            values[_key(benchmark.name)] = found
            if arm.trained and found and before:
                values[_key(benchmark.name, "_times")] = found / before
        rows.append(Row(values, checkpoints=measured.checkpoints(arm, step)))
    columns = [
        Column("arm", None, TEXT),
        Column("model", "Model", TEXT),
        Column(target.name, f"{roles.benchmark_title(study, target)} (%)", ESTIMATE),
    ]
    for benchmark in asked:
        title = roles.benchmark_title(study, benchmark)
        columns.append(Column(_key(benchmark.name), f"{title}: perplexity", NUMBER))
        columns.append(Column(_key(benchmark.name, "_times"), "Times", NUMBER))
    return Table(
        name="perplexity",
        title=f"{study.title}: the new domain learnt, the old one's perplexity",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=(NOTE if asked else f"The study {study.name} has no benchmark of a perplexity.",),
    )


def _key(benchmark: str, what: str = "") -> str:
    return f"{benchmark}_{METRIC}{what}"
