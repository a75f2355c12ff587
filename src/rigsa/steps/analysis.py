"""Steps that turn results into tables, figures and the last lines of a run."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigsa.analysis import figures, tables
from rigsa.errors import ConfigError
from rigsa.paths import ResultPaths
from rigsa.steps.step import SPEC, Step, argument, read_spec

if TYPE_CHECKING:
    from rigsa.study import Study

CHANGED = "SPEC: study {} has changed since it was made; start the run again."

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
    from rigsa.definitions import Definitions
    from rigsa.inputs import Input
    from rigsa.jobs import Job
    from rigsa.provenance import check_inputs, recorded

    study, paths, spec = _given(options)
    found = Definitions(study, spec)
    if found.spec(Job("collect")) != spec:
        raise ConfigError(CHANGED.format(study.name))
    asked = found.graph.inputs(Job("collect"))
    files = {name: tuple(found.graph.outputs(job, paths)) for name, job in asked.items()}
    given = {name: Input(made[0], made) for name, made in files.items()}
    check_inputs({name: found.definition(job) for name, job in asked.items()}, given)
    with recorded("collect", spec, [paths.scores], given, outline=found.outline):
        collect.run(study, paths)


def _table(options: Namespace) -> None:
    from rigsa.inputs import single
    from rigsa.provenance import recorded

    study, paths, spec = _given(options)
    known = {"scores": single(paths.scores)}
    known |= {arm: single(paths.tuning(arm)) for arm in study.trials}
    given = {name: known[name] for name in spec["inputs"]}
    with recorded("table", spec, paths.table(options.name), given, outline=_outline(study)):
        tables.run(options.name, study, paths)


def _figure(options: Namespace) -> None:
    from rigsa import inputs
    from rigsa.provenance import recorded

    study, paths, spec = _given(options)
    known = {
        "scores": inputs.single(paths.scores),
        "chat": inputs.single(paths.chat),
        "task_data": inputs.data(paths.task(study.target_task)),
        "base_model": inputs.model(paths.base_model(study.base_model)),
    }
    given = {name: known[name] for name in spec["inputs"]}
    outline = _outline(study) if "outline" in spec else None
    with recorded("figure", spec, paths.figure(options.name), given, outline=outline):
        figures.run(options.name, study, paths)


def _given(options: Namespace) -> tuple["Study", ResultPaths, dict[str, Any]]:
    """Raises ConfigError where the study is no longer the one that the SPEC was made from."""
    from rigsa import specs
    from rigsa.study import load_study

    study, spec = load_study(options.study), read_spec(options.spec)
    if spec.get("outline") not in (None, specs.digest(_outline(study))):
        raise ConfigError(CHANGED.format(study.name))
    return study, ResultPaths(options.results, study.name), spec


def _outline(study: "Study") -> dict[str, Any]:
    from rigsa import specs

    return specs.plain(specs.outline(study))


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
        "Writes tables/scores.csv, one row per checkpoint and benchmark, from evaluations that\n"
        "were made as the study says; any other is refused.",
        (SPEC, *STUDY),
        _collect,
    ),
    Step(
        "table",
        "Make one table.",
        "Writes tables/NAME.csv, .md, .tex and .html from tables/scores.csv.",
        (argument("name", choices=list(tables.MODULES), help="which table"), SPEC, *STUDY),
        _table,
    ),
    Step(
        "figure",
        "Draw one figure.",
        "Writes figures/NAME.pdf and .png from tables/scores.csv.",
        (argument("name", choices=list(figures.MODULES), help="which figure"), SPEC, *STUDY),
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
