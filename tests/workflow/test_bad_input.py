"""Every mistake in a configuration gives one sentence that names file and key, before any job."""

import os
from pathlib import Path

import pytest

from rigsa.analysis.figures.style import COLORS
from rigsa.config import check_attention, check_config, read_config
from rigsa.errors import ConfigError
from rigsa.sources import sources
from rigsa.study import load_study
from rigsa.study_checks import FAMILIES
from tests.workflow.edits import edit
from tests.workflow.other_mistakes import BASE_MODEL_MISTAKES, CONFIG_MISTAKES, TASK_MISTAKES
from tests.workflow.study_mistakes import STUDY_MISTAKES

MISTAKES = [
    (file, changes, sentence)
    for file, table in (
        ("studies/embedded.yaml", STUDY_MISTAKES),
        ("config.yaml", CONFIG_MISTAKES),
        ("studies/catalog/tasks.yaml", TASK_MISTAKES),
        ("studies/catalog/base_models.yaml", BASE_MODEL_MISTAKES),
    )
    for changes, sentence in table
]


def load() -> None:
    """What the Snakefile checks before its first rule."""
    config = read_config()
    check_config(config)
    study = load_study(config["study"])
    check_attention(config, study)
    sources(study, config)


@pytest.mark.parametrize(
    ("file", "changes", "sentence"), MISTAKES, ids=[f"{m[0]} {m[2][:40]}" for m in MISTAKES]
)
def test_a_mistake_is_one_sentence(project, file: str, changes: dict, sentence: str) -> None:
    project.edit(file, lambda content: edit(content, changes))
    with pytest.raises(ConfigError) as caught:
        load()
    message = str(caught.value)
    assert sentence in message
    assert message.startswith(("config.yaml: ", "studies/"))
    assert message.isprintable()
    assert message.endswith(".")
    assert len(message) < 400


def test_the_files_as_they_are_have_no_mistake(project) -> None:
    load()


def test_a_study_outside_of_the_folder_is_none(project) -> None:
    """A name on the command line reaches no schema."""
    Path("outside.yaml").write_bytes(Path("studies/embedded.yaml").read_bytes())
    for name in ("../outside", "catalog/tasks", "/etc/passwd", "embedded\0", ""):
        with pytest.raises(ConfigError, match=r"study is '.*(; there|\? There) are: .*embedded, "):
            load_study(name)


@pytest.mark.parametrize("name", ["tasks", "Base_Models", "cache"])
def test_a_study_has_a_folder_of_its_own(project, name) -> None:
    Path("studies/embedded.yaml").rename(f"studies/{name}.yaml")
    with pytest.raises(ConfigError, match="is the name of a folder that all studies share; rename"):
        load_study(name)


def test_a_results_folder_that_cannot_be_written_is_named(project) -> None:
    config = read_config()
    Path("a_file").write_text("")
    with pytest.raises(ConfigError, match=r"results is 'a_file/here', but .*a_file is a file"):
        check_config({**config, "results": "a_file/here"})
    Path("loop").symlink_to("loop")
    with pytest.raises(ConfigError, match=r"results is 'loop/here', which is no path \(a link to "):
        check_config({**config, "results": "loop/here"})
    if os.geteuid() != 0:  # root may write everywhere
        Path("locked").mkdir(mode=0o500)
        with pytest.raises(ConfigError, match="is not writable"):
            check_config({**config, "results": "locked/here"})


def test_a_folder_of_odd_names_is_a_results_folder(project) -> None:
    for results in ("a b", "it's", "50%", "$HOME", "a;b", "/tmp/x", "resultsé", "studies2"):
        check_config({**read_config(), "results": results})


def test_families_are_those_of_the_figures() -> None:
    assert set(FAMILIES) == set(COLORS)
