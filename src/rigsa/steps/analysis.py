"""Steps that turn results into tables, figures and the last lines of a run."""

from argparse import Namespace
from pathlib import Path

from rigsa.analysis import figures, tables
from rigsa.paths import ResultPaths
from rigsa.steps.step import Step, argument

STUDY = (
    argument("--study", required=True, metavar="NAME", help="a file in studies/, without .yaml"),
    argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="where results are; default: results",
    ),
)


def _collect(options: Namespace) -> None:
    from rigsa.analysis import collect
    from rigsa.study import load_study

    collect.run(load_study(options.study), ResultPaths(options.results, options.study))


def _table(options: Namespace) -> None:
    from rigsa.study import load_study

    paths = ResultPaths(options.results, options.study)
    tables.run(options.name, load_study(options.study), paths)


def _figure(options: Namespace) -> None:
    from rigsa.study import load_study

    paths = ResultPaths(options.results, options.study)
    figures.run(options.name, load_study(options.study), paths)


def _summary(options: Namespace) -> None:
    from rigsa.analysis.terminal import summary
    from rigsa.study import load_study

    paths = ResultPaths(options.results, options.study)
    print(summary(load_study(options.study), paths))
    print(f"\nReport: {paths.report}")


STEPS = (
    Step(
        "collect",
        "Gather the scores of all checkpoints.",
        "Writes tables/scores.csv, one row per checkpoint and benchmark.",
        STUDY,
        _collect,
    ),
    Step(
        "table",
        "Make one table.",
        "Writes tables/NAME.csv, .md, .tex and .html from tables/scores.csv.",
        (argument("name", choices=list(tables.MODULES), help="which table"), *STUDY),
        _table,
    ),
    Step(
        "figure",
        "Draw one figure.",
        "Writes figures/NAME.pdf and .png from tables/scores.csv.",
        (argument("name", choices=list(figures.MODULES), help="which figure"), *STUDY),
        _figure,
    ),
    Step(
        "summary",
        "Print the summary of a finished study.",
        "Every arm with its score on the target task and on each source task.",
        STUDY,
        _summary,
    ),
)
