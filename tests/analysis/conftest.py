"""Fixtures of the analysis tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rigsa.analysis import collect
from rigsa.paths import ResultPaths
from rigsa.study import Study
from tests.analysis.made_up import make_study, write_results

Collected = tuple[Study, ResultPaths]


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def collected(tmp_path: Path) -> Callable[..., Collected]:
    """Makes a study with its result files and collects them; arguments are make_study's."""

    def make(*args: object, items: int = 60, **settings: object) -> Collected:
        made = make_study(*args, **settings)
        paths = write_results(made, tmp_path / "results", items)
        collect.run(made, paths)
        return made, paths

    return make
