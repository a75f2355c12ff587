"""What the files of lm-eval's tasks, its own and ours, say of scores. No job reads this."""

from pathlib import Path
from typing import Any

import yaml

from rigsa.errors import ConfigError
from rigsa.tasks.stock import TaskLoader, stock_task
from rigsa.validation import one_of

OUR_TASKS = Path(__file__).parent / "lm_eval"


def asked_metrics(name: str, *, stock: bool) -> list[str] | None:
    """What a score of the task can be called; None where its file leaves that to another.

    A task with filters has each metric once per filter, as in "exact_match,strict-match".
    Raises ConfigError where there is no such task.
    """
    task = (stock_task if stock else _our_task)(name)
    if "metric_list" not in task:
        return None
    metrics = [item["metric"] for item in task["metric_list"]]
    filters = [item["name"] for item in task.get("filter_list", [{"name": "none"}])]
    return metrics + [f"{metric},{name}" for metric in metrics for name in filters]


def _our_task(name: str) -> dict[str, Any]:
    path = OUR_TASKS / f"{name}.yaml"
    if not path.is_file():
        ours = [path.stem for path in OUR_TASKS.glob("*.yaml")]
        raise ConfigError(f"studies/catalog/tasks.yaml: lm_eval is {name!r}; {one_of(name, ours)}")
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=TaskLoader)
    if "include" in content:
        content = _our_task(Path(content["include"]).stem) | content
    return content
