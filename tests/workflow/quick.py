"""The embedded study cut down to two minutes: every rule runs, nothing is learnt well."""

from typing import Any

from tests.workflow.conftest import Project

KEPT_ARMS = ("base", "base_4bit", "rigsa", "random_mask", "qlora_r1")


def cut_down(project: Project) -> None:
    """Few items, few steps, two IMP iterations, one rank."""
    project.edit("studies/embedded.yaml", _study)
    project.edit("studies/catalog/tasks.yaml", _tasks)
    project.edit("studies/catalog/base_models.yaml", _base_models)


def _study(study: dict[str, Any]) -> None:
    study["arms"] = {name: study["arms"][name] for name in KEPT_ARMS}
    study["arms"]["rigsa"]["iterations"] = 2
    study["training"] |= {"epochs": 0.1, "logs": 2}
    for benchmark in study["benchmarks"].values():
        benchmark["limit"] = 8


def _tasks(tasks: dict[str, Any]) -> None:
    for task in tasks.values():
        if "counts" in task:
            task["counts"] = {"train": 200, "validation": 10, "test": 10}


def _base_models(models: dict[str, Any]) -> None:
    models["embedded"]["training"] |= {"steps": 4, "rows": 2}
    models["embedded"]["architecture"] |= {"hidden_size": 64, "num_hidden_layers": 2}
