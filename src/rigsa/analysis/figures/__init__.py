"""The paper's figures 1 to 6, and learning against forgetting (7), each as PDF and PNG."""

from importlib import import_module

from rigsa.errors import RigsaError
from rigsa.paths import ResultPaths
from rigsa.study import Study
from rigsa.validation import one_of

# The module of each figure, imported when it is drawn: a change in one redraws no other.
MODULES = {
    "figure1": "rigsa.analysis.figures.digit",
    "figure2": "rigsa.analysis.figures.pruning",
    "figure3": "rigsa.analysis.figures.ranks",
    "figure4": "rigsa.analysis.figures.parameters",
    "figure5": "rigsa.analysis.figures.prompt",
    "figure6": "rigsa.analysis.figures.chat",
    "figure7": "rigsa.analysis.figures.forgetting",
}


def run(name: str, study: Study, paths: ResultPaths) -> None:
    """Draws one figure from its files below the results folder."""
    if name not in MODULES:
        raise RigsaError(f"There is no figure {name!r}; {one_of(name, MODULES)}")
    from rigsa.analysis.figures import style

    module = import_module(MODULES[name])
    with style.applied():
        style.save(module.draw(study, paths), paths.figure(name))
