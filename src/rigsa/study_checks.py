"""What a schema cannot say of a study: names that must be known, and parts that must fit.

Each check raises ConfigError with one sentence; those of a single arm are in `arm_checks`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigsa import arm_checks
from rigsa.catalog import TASKS, check_different
from rigsa.errors import ConfigError
from rigsa.validation import one_of

if TYPE_CHECKING:
    from rigsa.study import Study

# Folders below results/ that all studies share.
SHARED_FOLDERS = ("base_models", "tasks", "cache")
# Columns of the tables beside those of the benchmarks, and what is added to a benchmark's name.
COLUMNS = ("arm", "step", "model", "density", "parameters", "replay", "learning_rate", "items_seen")
COLUMNS += ("seconds", "optimizer_state_bytes", "peak_memory_bytes", "source")
ADDED = ("_perplexity", "_perplexity_times", "_se", "_fall", "_fall_low", "_fall_high", "_fall_p")
# What figures.colors can name beside an arm; `rigsa.analysis.roles.family` tells them apart.
FAMILIES = ("base", "base_4bit", "imp", "mask", "dense", "lora", "lora_4bit", "other")


def check_study(study: "Study", path: Path) -> None:
    """Raises ConfigError that names `path` and the key."""
    if study.name.lower() in SHARED_FOLDERS:
        raise ConfigError(
            f"{path}: {study.name!r} is the name of a folder that all studies share; rename the "
            "file."
        )
    _check_tasks(study, path)
    _check_benchmarks(study, path)
    _check_arms(study, path)
    known = {*study.arms, *FAMILIES}
    for name in study.figures.get("colors", {}):
        if name not in known:
            raise ConfigError(
                f"{path}: figures.colors names {name!r}, which is neither an arm nor a family of "
                f"them; {one_of(name, known)}"
            )


def _check_tasks(study: "Study", path: Path) -> None:
    named = {"target_task": study.target_task}
    named |= {f"source_tasks.{i}": task for i, task in enumerate(study.source_tasks)}
    named |= {f"benchmarks.{b.name}.task": b.task for b in study.benchmarks.values()}
    for key, task in named.items():
        if task not in study.task_entries:
            raise ConfigError(f"{path}: {key} is {task!r}; {one_of(task, study.task_entries)}")
    if study.target_task in study.source_tasks:
        raise ConfigError(
            f"{path}: source_tasks names the target task {study.target_task!r}, which is learnt "
            "and cannot be forgotten; take it out."
        )
    pictures = [name for name, entry in study.task_entries.items() if _of_images(entry)]
    if study.target_task not in pictures:
        raise ConfigError(
            f"{path}: target_task is {study.target_task!r}, which has no images to learn; "
            f"{one_of(study.target_task, pictures)}"
        )
    for i, task in enumerate(study.source_tasks):
        if task in pictures:
            others = [name for name in study.task_entries if name not in pictures]
            raise ConfigError(
                f"{path}: source_tasks.{i} is {task!r}, a task of images, which the base model "
                f"has yet to learn; {one_of(task, others)}"
            )
    of_all = [b for b in study.benchmarks.values() if b.arms is None]
    if study.target_task not in {b.task for b in of_all if b.steps == "all"}:
        raise ConfigError(
            f"{path}: no benchmark asks target task {study.target_task!r} of every arm at all "
            "steps; add one to benchmarks."
        )
    for task in study.source_tasks:
        if task not in {b.task for b in of_all}:
            raise ConfigError(
                f"{path}: no benchmark asks source task {task!r} of every arm; add one to "
                "benchmarks."
            )


def _of_images(entry: Mapping[str, Any]) -> bool:
    return "images" in entry or "subset_of" in entry


def _check_benchmarks(study: "Study", path: Path) -> None:
    check_different(study.benchmarks, f"{path}: benchmarks")
    taken = {*COLUMNS, *(name + added for name in study.benchmarks for added in ADDED)}
    for benchmark in study.benchmarks.values():
        where = f"{path}: benchmarks.{benchmark.name}"
        if benchmark.name in taken:
            raise ConfigError(f"{where} has the name of another column of the tables; rename it.")
        for arm in benchmark.arms or ():
            if arm not in study.arms:
                raise ConfigError(f"{where}.arms names {arm!r}; {one_of(arm, study.arms)}")
        examples = items(study.task_entries[benchmark.task], "train")
        if examples is not None and benchmark.fewshot >= examples:
            raise ConfigError(
                f"{where}.fewshot is {benchmark.fewshot}, and {TASKS} gives {benchmark.task} only "
                f"{examples} items to show; ask for fewer."
            )


def items(entry: Mapping[str, Any], split: str) -> int | None:
    """How many a task has, as far as the catalogue says it."""
    return entry.get("counts", entry.get("forecast", {}).get("items", {})).get(split)


def _check_arms(study: "Study", path: Path) -> None:
    check_different(study.arms, f"{path}: arms")
    if not any(arm.trained for arm in study.arms.values()):
        raise ConfigError(f"{path}: arms trains nothing; give one of them an adapter.")
    rows = items(study.task_entries[study.target_task], "train")
    titles: dict[str, str] = {}
    for arm in study.arms.values():
        other = titles.setdefault(arm.title, arm.name)
        if other != arm.name:
            raise ConfigError(
                f"{path}: arms.{arm.name}.title is {arm.title!r}, as is that of {other}; tables "
                "and figures tell arms apart by it."
            )
        arm_checks.check_arm(study, arm, path)
        if arm.trained:
            arm_checks.check_training(arm, rows, path)
