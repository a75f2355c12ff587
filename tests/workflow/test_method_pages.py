"""The study lines of docs/methods/ are arms as they stand."""

import re

import pytest
import yaml

from rigsa.study import load_study
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs" / "methods").glob("[!R]*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_its_lines_go_into_a_study(project, page) -> None:
    arms = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)[1])
    project.edit("studies/embedded.yaml", lambda study: study["arms"].update(arms))
    assert set(arms) <= set(load_study("embedded").arms)


def test_every_method_of_the_quick_study_has_a_page(project_root) -> None:
    assert load_study("methods_quick").arms
    text = (project_root / "studies" / "methods_quick.yaml").read_text()
    pages = {page.stem for page in PAGES}
    assert set(re.findall(r"docs/methods/(\w+)\.md", text)) == pages


def test_the_ablations_are_a_study(project_root) -> None:
    assert load_study("ablations").arms
