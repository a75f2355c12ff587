"""What reruns after a change, and what does not, by the job lists of dry runs: docs/reruns.md."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rigsa.files import read_json, write_json
from tests.conftest import ROOT
from tests.workflow.conftest import Project

STUDY, CONFIG = "studies/embedded.yaml", "config.yaml"
SHOWN = {"table": 9, "report": 1}
SCORES = {"collect": 1, "figure": 4, **SHOWN}
# Figure 6, the chat, follows the last RIGSA checkpoint.
CHAT = {"collect": 1, "sample_chat": 1, "figure": 5, **SHOWN}
# Table 4 shows settings alone, and what was tuned is not in the scores.
TUNED, NO_SETTINGS = {"table": 8}, {"table": 7}
# The random mask chooses of two learning rates.
PRUNED = {"select_mask": 4, "train": 4, "tune": 1, "evaluate": 8, **CHAT}
REPLAY = {"share": 0.25, "tasks": ["tiny_gsm"]}
LORA = {"type": "lora", "r": 2, "lora_alpha": 32, "lora_dropout": 0.0}


def _rank(study: dict[str, Any]) -> None:
    study["arms"]["qlora_r2"] = study["arms"]["qlora_r1"] | {"title": "QLoRA r2", "adapter": LORA}


def _method(study: dict[str, Any]) -> None:
    study["arms"]["neutral_residues"] = {
        "title": "Neutral Residues",
        "adapter": {"type": "neutral_residues"},
        "training": {"replay": REPLAY},
    }


def _keep(study: dict[str, Any]) -> None:
    mask = study["arms"]["rigsa"]["mask"]
    mask.pop("density")
    mask["keep"] = 0.5


def _asked_more(study: dict[str, Any]) -> None:
    study["benchmarks"]["tiny_gsm_0shot"] = {"task": "tiny_gsm", "fewshot": 0, "limit": 8}


# change, jobs by rule
EDITS: dict[str, tuple[str, Callable[[dict[str, Any]], Any], dict[str, int]]] = {
    "figure colour": (
        STUDY,
        lambda s: s.update(figures={"colors": {"imp": "#112233"}}),
        {"figure": 7, "report": 1},
    ),
    "figure size": (STUDY, lambda s: s.update(figures={"width": 5}), {"figure": 7, "report": 1}),
    "title": (STUDY, lambda s: s.update(title="Another"), SCORES),
    "few-shot examples": (
        STUDY,
        lambda s: s["benchmarks"]["tiny_gsm"].update(fewshot=3),
        {"evaluate": 6, **SCORES},
    ),
    "new benchmark": (STUDY, _asked_more, {"evaluate": 6, **SCORES}),
    "new seed": (
        STUDY,
        lambda s: s.update(seeds=[0, 1]),
        {"select_mask": 2, "train": 4, "evaluate": 16, **SCORES},
    ),
    # The dense step and its evaluations stay; the random mask follows RIGSA's density.
    "density": (STUDY, lambda s: s["arms"]["rigsa"]["mask"].update(density=0.05), PRUNED),
    "keep ratio": (STUDY, _keep, PRUNED),
    "learning rate of one arm": (
        STUDY,
        lambda s: s["arms"]["qlora_r1"]["training"].update(learning_rate=0.001),
        {"train": 1, "evaluate": 4, **SCORES},
    ),
    "several learning rates of one arm": (
        STUDY,
        lambda s: s["arms"]["qlora_r1"]["training"].update(learning_rate=[0.001, 0.002]),
        {"train": 3, "tune": 1, "evaluate": 4, **SCORES},
    ),
    "one more to choose from": (
        STUDY,
        lambda s: s["arms"]["random_mask"]["training"]["learning_rate"].append(3.0e-2),
        {"select_mask": 1, "train": 2, "tune": 1, "evaluate": 4, **SCORES},
    ),
    "replay of one arm": (
        STUDY,
        lambda s: s["arms"]["qlora_r1"]["training"].update(replay=REPLAY),
        {"train": 1, "evaluate": 4, **SCORES},
    ),
    "new method": (STUDY, _method, {"train": 1, "evaluate": 4, **SCORES}),
    "new rank": (STUDY, _rank, {"train": 1, "evaluate": 4, **SCORES}),
    "order of keys": (STUDY, lambda s: s.update(arms=dict(reversed(s["arms"].items()))), {}),
    "machine": (
        CONFIG,
        lambda c: (
            c.update(micro_batch_size=4, eval_batch_size=2, attention="eager")
            or c["threads"].update(train=2)
        ),
        {},
    ),
    "follow the libraries": (
        CONFIG,
        lambda c: c.update(library_changes="rerun"),
        {"base_model": 1, "select_mask": 4, "train": 6, "tune": 1, "evaluate": 26}
        # And figure 5, the prompt, by the base model's tokenizer.
        | {**CHAT, **TUNED, "figure": 6},
    ),
}
TRAINED = {"select_mask": 4, "train": 6, "tune": 1, "evaluate": 16, **CHAT, **TUNED}
# file of the package, before, after, jobs by rule
CODE: dict[str, tuple[str, str, str, dict[str, int]]] = {
    "a comment in the trainer": ("training/trainer.py", "\nclass ", "\n# Why.\nclass ", {}),
    "a docstring in the trainer": ("training/trainer.py", '"""', '"""Now: ', {}),
    "the trainer": ("training/trainer.py", "\nclass ", "\nNEW = 1\n\n\nclass ", TRAINED),
    # The dense step of RIGSA has no mask, but its adapter is sparse delta's as well.
    "sparse delta": (
        "adapters/sparse_delta/layer.py",
        "\nclass ",
        "\nNEW = 1\n\n\nclass ",
        {"select_mask": 4, "train": 5, "tune": 1, "evaluate": 12, **CHAT, **TUNED},
    ),
    "the arm's criterion": (
        "masks/criteria.py",
        "lambda i, f, g: f.abs(), same_sign)",
        "lambda i, f, g: f.abs() + 1, same_sign)",
        PRUNED | TUNED,
    ),
    "a criterion of no arm": ("masks/criteria.py", "(f - i).abs()", "(f - i).abs() + 1", {}),
    "one table": ("analysis/tables/table2.py", "100 * ch", "99 * ch", {"table": 1, "report": 1}),
    # The prompt (figure 5) shows the digit of figure 1.
    "one figure": (
        "analysis/figures/digit.py",
        "columns=1",
        "columns=2",
        {"figure": 2, "report": 1},
    ),
    "words of an error": ("errors.py", "class FileError", "NEW = 1\n\n\nclass FileError", {}),
}


@pytest.mark.parametrize(("file", "change", "jobs"), EDITS.values(), ids=EDITS)
def test_settings(finished: Project, file: str, change: Callable, jobs: dict[str, int]) -> None:
    path = finished.folder / file
    before = path.read_bytes()
    try:
        finished.edit(file, change)
        assert finished.planned() == jobs
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("number", ["2.0e-3", "2.e-3", "0.0020"])
def test_a_number_written_otherwise(finished: Project, number: str) -> None:
    path = finished.folder / STUDY
    before = path.read_text()
    assert "learning_rate: 0.002\n" in before
    try:
        path.write_text(before.replace("learning_rate: 0.002\n", f"learning_rate: {number}\n"))
        assert finished.planned() == {}
    finally:
        path.write_text(before)


def test_a_caption(finished: Project) -> None:
    path = finished.folder / "workflow/report/figure.rst"
    before = path.read_text()
    try:
        path.write_text(before.replace("One test digit", "A test digit"))
        assert finished.planned() == {"report": 1}
    finally:
        path.write_text(before)


def test_the_words_of_a_rule_s_command(finished: Project) -> None:
    """Snakemake's own look at them would make results again, and what follows from them not."""
    path = finished.folder / "workflow/rules/adapters.smk"
    before = path.read_text()
    try:
        path.write_text(before.replace("2>&1 | tee {log:q}", "2>&1 | tee -- {log:q}"))
        assert finished.planned() == {}
    finally:
        path.write_text(before)


@pytest.mark.parametrize(("file", "old", "new", "jobs"), CODE.values(), ids=CODE)
def test_code(
    finished: Project, tmp_path: Path, file: str, old: str, new: str, jobs: dict[str, int]
) -> None:
    shutil.copytree(ROOT / "src/rigsa", tmp_path / "rigsa")
    path = tmp_path / "rigsa" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert finished.planned(code=tmp_path) == jobs


def test_touched_files_and_a_clock_that_went_backwards(finished: Project) -> None:
    files = [file for file in (finished.folder / "results").rglob("*") if file.is_file()]
    before = {file: file.stat() for file in files}
    try:
        for number, file in enumerate(sorted(files, reverse=True)):
            os.utime(file, (number, number))
        assert finished.planned() == {}
    finally:
        for file, stat in before.items():
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def copied(finished: Project, tmp_path: Path) -> Project:
    """Another machine: the project, and the results alone, with the times of their arrival."""
    copy = Project(tmp_path / "copy")
    for part in ("studies", "results"):
        source = finished.folder / part
        shutil.copytree(
            source, copy.folder / part, copy_function=shutil.copyfile, dirs_exist_ok=True
        )
    return copy


def test_results_copied_to_another_machine(copied: Project) -> None:
    assert copied.planned() == {}


def test_results_copied_beside_another_study(copied: Project) -> None:
    """Snakemake knows nothing of them, and what they were made from is looked at all the same."""
    file, change, jobs = EDITS["learning rate of one arm"]
    copied.edit(file, change)
    assert copied.planned() == jobs


def test_a_file_made_again_with_other_content_is_followed(copied: Project) -> None:
    """As if the mask had been chosen anew on a machine that came to another one."""
    folder = copied.folder / "results/embedded/arms/random_mask/seed0/step0"
    record = read_json(folder / "mask.provenance.json")
    record["files"] = dict.fromkeys(record["files"], "0")
    write_json(folder / "mask.provenance.json", record)
    assert copied.planned() == {"train": 1, "evaluate": 4, **SCORES, **NO_SETTINGS}


def test_a_lost_file_is_not_missed_before_something_is_made_from_it(copied: Project) -> None:
    shutil.rmtree(copied.folder / "results/embedded/arms/rigsa/seed0/step1/adapter")
    assert copied.planned() == {}
