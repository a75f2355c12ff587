"""Snakemake says a mistake as its last line, without a traceback, and starts and makes nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.conftest import Project
from tests.workflow.edits import edit

STUDY, BASES, TASKS = (
    "studies/embedded.yaml",
    "studies/catalog/base_models.yaml",
    "studies/catalog/tasks.yaml",
)


def changed(file: str, **changes: object) -> Callable[[Project], None]:
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return lambda project: project.edit(file, lambda content: edit(content, keys))


def added(file: str, text: str) -> Callable[[Project], None]:
    def add(project: Project) -> None:
        path = project.folder / file
        path.write_text(path.read_text() + text)

    return add


def folder(name: str, *files: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        (project.folder / name).mkdir()
        for file in files:
            (project.folder / name / file).write_text("{}")

    return make


def nothing(project: Project) -> None:
    pass


PAPER = "study=paper"
TEMPLATE = "__use_yte__: true\nx: ?open('pwned', 'w').close()\n"
KINDS = [
    # how it is broken, --config, the last line
    (changed(STUDY, training__learning_rate="1e-4"), (), f"{STUDY}: training.learning_rate must"),
    (changed(STUDY, training__epochs=1e-6), (), f"{STUDY}: training of arm rigsa: epochs is 1e-06"),
    (added(STUDY, "title: again\n"), (), f"{STUDY}:N: the key title stands in line 3 already"),
    (added(STUDY, "x: \0\n"), (), f"{STUDY}: character"),
    (changed(TASKS, tiny_gsm__metric="acc"), (), f"{TASKS}: tiny_gsm.metric is 'acc'; there are"),
    (
        changed(BASES, embedded__vocabulary=True),
        (),
        f"{BASES}: embedded.vocabulary must be of type",
    ),
    (added("config.yaml", "device: cpu\n"), (), "config.yaml:N: the key device stands in line"),
    (added("config.yaml", TEMPLATE), (), "config.yaml: unknown key"),
    (nothing, ("results=../{x}",), "config.yaml: results is '../{x}'; it must be a path"),
    (nothing, ("results=.",), "config.yaml: results is '.', which holds files of the project"),
    (nothing, ("study=../x",), "config.yaml: study is '../x'; it must be made of"),
    (nothing, (PAPER, "data_dir={piqa: none}"), "config.yaml: data_dir.piqa is 'none', which is"),
    (
        folder("m", "config.json", "pytorch_model.bin", "tokenizer.json"),
        (PAPER, "model_dir={smollm2_instruct: m}"),
        "config.yaml: model_dir.smollm2_instruct, m, has no .safetensors weights, and pickled",
    ),
    (folder("d"), (PAPER, "data_dir={textual_mnist: d}"), "d has neither train-images-idx3-ubyte"),
]


@pytest.mark.parametrize(("harm", "config", "sentence"), KINDS, ids=[k[2][:45] for k in KINDS])
def test_a_dry_run_says_it_and_makes_nothing(project: Project, harm, config, sentence) -> None:
    harm(project)
    before = {path for path in Path().rglob("*") if ".snakemake" not in path.parts}
    done = project.snakemake("--dry-run", *(["--config", *config] if config else []))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.sub(r":\d+:", ":N:", last).startswith(f"Error: {sentence}")
    assert "Traceback" not in done.stderr + done.stdout
    assert {path for path in Path().rglob("*") if ".snakemake" not in path.parts} == before
