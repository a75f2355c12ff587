"""The paper's tables 1 to 4 and our own, each as CSV, Markdown, LaTeX and HTML."""

from importlib import import_module

from rigsa.errors import RigsaError
from rigsa.files import write_text
from rigsa.paths import ResultPaths
from rigsa.study import Study
from rigsa.validation import one_of

# The module of each table, imported when it is made: a change in one remakes no other.
MODULES = {
    "table1": "rigsa.analysis.tables.table1",
    "table2": "rigsa.analysis.tables.table2",
    "table3": "rigsa.analysis.tables.table3",
    "table4": "rigsa.analysis.tables.table4",
    "summary": "rigsa.analysis.tables.summary",
    "costs": "rigsa.analysis.tables.costs",
    "perplexity": "rigsa.analysis.tables.perplexity",
    "signs": "rigsa.analysis.tables.signs",
    "tuning": "rigsa.analysis.tables.tuning",
}


def run(name: str, study: Study, paths: ResultPaths) -> None:
    """Makes one table, from scores.csv and where needed the samples, in every format."""
    if name not in MODULES:
        raise RigsaError(f"There is no table {name!r}; {one_of(name, MODULES)}")
    # Not above: Snakemake reads MODULES on every call, and need not load numpy for it.
    from rigsa.analysis.tables.render import render

    table = import_module(MODULES[name]).make(study, paths)
    for path in paths.table(name):
        write_text(path, render(table, path.suffix))
