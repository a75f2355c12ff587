"""The step that says how a result was made, and what has changed since."""

from argparse import Namespace
from pathlib import Path

from rigsa.steps.step import Step, argument
from rigsa.steps.study import CONFIG


def _why(options: Namespace) -> None:
    from rigsa.definitions import Definitions
    from rigsa.freshness import Freshness
    from rigsa.paths import ResultPaths
    from rigsa.study import load_study, study_names
    from rigsa.validation import read_yaml
    from rigsa.why import why

    config = read_yaml(CONFIG)
    results = options.results or Path(config["results"])
    # results/<study>/...; base models and tasks are shared by all studies.
    inside = [name for name in study_names() if (results / name) in options.file.parents]
    name = options.study or next(iter(inside), config["study"])
    found = Freshness(Definitions(load_study(name), config), ResultPaths(results, name))
    print(why(found, options.file))


STEPS = (
    Step(
        "why",
        "Say how a result was made, and whether it still is what the study says.",
        "When, on what machine, with which versions; from which files, settings and code; what of\n"
        "them has changed since, and what a run would make again.",
        (
            argument("file", type=Path, metavar="FILE", help="any file in results/"),
            argument(
                "--study",
                metavar="NAME",
                help="default: the one in whose folder the file is, or that of config.yaml",
            ),
            argument("--results", type=Path, metavar="DIR", help="default: that of config.yaml"),
        ),
        _why,
    ),
)
