"""lm-eval tasks by name, ours or stock, with data from JSON-lines files instead of the hub."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rigsa.errors import ConfigError
from rigsa.files import read_jsonl
from rigsa.tasks.stock import SPLITS

OUR_TASKS = Path(__file__).resolve().parents[1] / "tasks" / "lm_eval"


def load_task(
    name: str,
    data_files: Mapping[str, str],
    fewshot: int,
    fewshot_seed: int,
    sampler: str | None = None,
) -> Any:
    """The lm-eval task `name` with `fewshot` examples before every question.

    `sampler` is lm-eval's name for how they are chosen: "default" draws others for every question,
    "first_n" takes the first ones for all; None leaves it to the task.

    `data_files` gives a JSON-lines file for each split, by the task's own split names; without any,
    the task takes what it names itself (from the hub's cache). Items stay in memory: nothing is
    written to the datasets cache, so jobs side by side cannot disturb each other.
    Raises ConfigError for an unknown task or a missing split, FileError for an unreadable file.
    """
    manager = _manager(name)
    config = manager.task_index[name].cfg
    asked = config.get("test_split") or config.get("validation_split")
    shown = config.get("fewshot_split") or config.get("training_split") or asked
    overrides: dict[str, Any] = {"num_fewshot": fewshot}
    if fewshot == 0:
        # Then nothing is read of the training items, which may be many. Otherwise the key stays as
        # it is: whether it is set decides how lm-eval draws.
        overrides["fewshot_split"] = shown = asked
    if sampler is not None:
        overrides["fewshot_config"] = {**(config.get("fewshot_config") or {}), "sampler": sampler}
    if data_files:
        missing = sorted({asked, shown} - set(data_files))
        if missing:
            raise ConfigError(
                f"Task {name} needs a data file for its split {missing[0]!r}; there are files for "
                f"{', '.join(sorted(data_files))}."
            )
        files = {split: Path(data_files[split]) for split in (asked, shown)}
        overrides["custom_dataset"] = lambda **_: _in_memory(files)
    # A group is lm-eval's own way to load a task by name with some keys changed.
    loaded = manager.load({"group": "rigsa", "task": [{"task": name, **overrides}]})
    (task,) = loaded["tasks"].values()
    task.set_fewshot_seed(fewshot_seed)
    if fewshot and fewshot >= len(task.sampler.df):
        raise ConfigError(
            f"fewshot is {fewshot}, but task {name} has only "
            f"{len(task.sampler.df)} examples to show."
        )
    return task


def first_question(name: str, folder: Path) -> str:
    """The first item of the task's data in `folder`, as the task words it."""
    files = {split: str(folder / f"{split}.jsonl") for split in SPLITS}
    task = load_task(name, files, 0, 0)
    return task.doc_to_text(task.eval_docs[0])


def _manager(name: str) -> Any:
    from lm_eval.tasks import TaskManager

    for folder in _folders(name):
        manager = TaskManager(include_path=folder, include_defaults=False)
        entry = manager.task_index.get(name)
        if entry is not None and entry.kind.name == "TASK":
            return manager
    ours = sorted(path.stem for path in OUR_TASKS.glob("*.yaml"))
    raise ConfigError(
        f"Task {name!r} is neither one of lm-eval's nor one of ours ({', '.join(ours)})."
    )


def _folders(name: str) -> Iterator[Path]:
    """Where the task's file may be: parsing all of lm-eval's task files would take ten seconds."""
    from lm_eval import tasks

    yield OUR_TASKS
    stock = Path(tasks.__file__).parent
    if (stock / name).is_dir():
        yield stock / name
    line = re.compile(rf"^task: *['\"]?{re.escape(name)}['\"]? *$", re.MULTILINE)
    for path in sorted(stock.rglob("*.yaml")):
        if line.search(path.read_text(encoding="utf-8")):
            yield path.parent


def _in_memory(files: Mapping[str, Path]) -> Any:
    from datasets import Dataset, DatasetDict

    return DatasetDict(
        {split: Dataset.from_list(read_jsonl(path)) for split, path in files.items()}
    )
