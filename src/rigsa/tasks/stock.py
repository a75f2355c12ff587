"""lm-eval's own tasks: what their files say of their data, read without importing lm-eval."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from rigsa.errors import ConfigError

SPLITS = ("train", "validation", "test")


class TaskLoader(yaml.SafeLoader):
    """Reads a task file without importing the functions that it names."""


TaskLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def stock_task(name: str) -> dict[str, Any]:
    """Content of lm-eval's file of the task; raises ConfigError where it has none."""
    # Parsing a workflow must not wait for lm-eval, which takes seconds to import.
    package = find_spec("lm_eval")
    path = Path(package.origin).parent / "tasks" / name / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(
            f"studies/catalog/tasks.yaml: lm_eval is {name!r}, but lm-eval has no file "
            f"tasks/{name}/{name}.yaml; give the task `images` or a `generator`, or name another."
        )
    return yaml.load(path.read_text(encoding="utf-8"), Loader=TaskLoader)


def asked_split(name: str) -> str:
    """The split that holds the questions: its own name, train, validation or test."""
    task = stock_task(name)
    return task.get("test_split") or task["validation_split"]


def shown_split(name: str) -> str:
    """The split that examples before a question are drawn from."""
    task = stock_task(name)
    return task.get("fewshot_split") or task.get("training_split") or asked_split(name)
