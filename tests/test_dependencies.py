"""pyproject.toml, requirements.lock and environment.yml say the same."""

import tomllib
from importlib.metadata import version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT


def _direct() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    return {canonicalize_name(r.name): r for r in map(Requirement, listed)}


def _pins(lines: list[str]) -> dict[str, str]:
    pairs = [line.split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): pin for name, pin in pairs}


LOCK = _pins((ROOT / "requirements.lock").read_text().splitlines())


def test_the_lock_has_every_direct_dependency_in_its_range() -> None:
    for name, requirement in _direct().items():
        assert requirement.specifier.contains(LOCK[name]), name


def test_the_lock_pins_versions_and_names_no_place() -> None:
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        requirement = Requirement(line)
        assert requirement.url is None
        assert str(requirement.specifier).startswith("==")
        assert "+" not in line


def test_environment_yml_has_the_same_direct_dependencies_at_the_lock_s_versions() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    pins = _pins(pip)
    assert set(pins) == set(_direct())
    assert pins == {name: LOCK[name] for name in pins}
    assert pip[-1] == "-e ."


@pytest.mark.parametrize("name", ["torch", "transformers", "peft", "snakemake", "lm-eval"])
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    assert version(name).split("+")[0] == LOCK[name]
