"""The settings of each job: its own slice of the study, as plain JSON.

With the fingerprint of its code and the definitions of its inputs (definitions.py) they make the
SPEC of a job: what a rule's `params` hold (what invalidates its result) and its command is given.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rigsa import schedule
from rigsa.bases import quantization_of
from rigsa.mask_rules import RULES_WITH_GRADIENTS
from rigsa.methods import full_description
from rigsa.study import Arm, Benchmark, Study
from rigsa.tasks.stock import stock_task

# Keys of a task's entry that decide its data.
MADE_BY = ("generator", "images", "seed", "counts", "subset_of")


def canonical(content: Mapping[str, Any]) -> str:
    """The same text for the same content, whatever the order of keys."""
    text = json.dumps(plain(content), sort_keys=True, separators=(",", ":"))
    # Snakemake's report sets params into a page's script, which "</script>" in a title would end.
    return text.replace("<", "\\u003c")


def task_settings(study: Study, task: str) -> dict[str, Any]:
    """How the data of a task are made."""
    entry = study.task_entries[task]
    made_by = {key: entry[key] for key in entry if key in MADE_BY}
    if "hub" in entry:
        made_by["config"] = entry["hub"].get("config")
        if "images" not in entry:
            made_by |= {"stock": entry["lm_eval"]}
            made_by["config"] = stock_task(entry["lm_eval"]).get("dataset_name")
    return {"task": task, **made_by}


def base_model_settings(study: Study) -> dict[str, Any]:
    """How the base model is made; its 4-bit form is made from it on loading."""
    entry = study.base_model_entry
    return {
        key: value
        for key, value in entry.items()
        if key not in ("title", "source", "four_bit", "forecast")
    }


def _model_settings(study: Study, arm: str, precision: str) -> dict[str, Any]:
    return {"quantization": quantization_of(study, arm), "precision": precision}


def _asked(study: Study, task: str, *more: str) -> dict[str, Any]:
    """How lm-eval words the task's items, and other keys of its entry."""
    entry = study.task_entries[task]
    return {key: entry[key] for key in ("lm_eval", "chat", *more) if key in entry}


def training_settings(
    study: Study, arm: str, seed: int, precision: str, step: int = 0
) -> dict[str, Any]:
    """One training. The mask comes as a file, so every step of an IMP arm has the same settings,
    but for a dense one that ends where the mask of the next has settled."""
    item = study.arm(arm)
    mask, early_bird = item.mask or {}, {}
    if "early_bird" in mask and step == 0:
        drawn = mask_settings(study, arm, seed, 1, precision)
        early_bird = {**mask["early_bird"], "mask": drawn}
    replayed = [{"task": task, **_asked(study, task)} for task in item.replayed]
    return {
        **_model_settings(study, arm, precision),
        "adapter": item.adapter,
        "training": item.training,
        "seed": seed,
        "task": study.target_task,
        **({"replayed": replayed} if replayed else {}),
        **({"rewind": mask["rewind"]} if "rewind" in mask else {}),
        **({"early_bird": early_bird} if early_bird else {}),
    }


def tuning_settings(study: Study, arm: str) -> dict[str, Any]:
    """How the learning rate of an arm is chosen, and among which."""
    return {"learning_rates": study.arms[arm].rates, "chosen_by": "validation_loss"}


def mask_settings(study: Study, arm: str, seed: int, step: int, precision: str) -> dict[str, Any]:
    """How the mask of a step is chosen."""
    item = study.arm(arm)
    mask = item.mask
    gradient = {}
    if mask["rule"] in RULES_WITH_GRADIENTS:
        gradient = {
            **_model_settings(study, arm, precision),
            "task": study.target_task,
            "batch_size": item.training["batch_size"],
            **({"batches": mask["batches"]} if "batches" in mask else {}),
            **({"warmup": item.warmup} if item.warmup else {}),
        }
    return {
        "adapter": full_description(item.adapter),
        "rule": mask["rule"],
        "scope": mask.get("scope", "matrix"),
        **_lora_budget(item, step),
        "keep": mask.get("keep"),
        "density": None if "density_of" in mask else study.density(arm, step),
        "seed": seed,
        **gradient,
    }


def _lora_budget(arm: Arm, step: int) -> dict[str, Any]:
    """A density that follows from the shapes of the model's matrices, which its files say."""
    if "lora_rank" not in arm.mask:
        return {}
    progress = schedule.progress(step, arm.iterations)
    return {"lora_rank": arm.mask["lora_rank"], "progress": progress}


def evaluation_settings(
    study: Study, arm: str, benchmark: Benchmark, precision: str
) -> dict[str, Any]:
    """How a checkpoint is asked."""
    asked = _asked(study, benchmark.task, "metric")
    if benchmark.sampler is not None:
        asked["sampler"] = benchmark.sampler
    return {
        **_model_settings(study, arm, precision),
        "benchmark": benchmark.name,
        "task": benchmark.task,
        "fewshot": benchmark.fewshot,
        "limit": benchmark.limit,
        "method": method_of(study, arm),
        **asked,
    }


def chat_settings(study: Study, arm: str, precision: str) -> dict[str, Any]:
    """How the chat of figure 6 is held."""
    return {**_model_settings(study, arm, precision), "method": method_of(study, arm)}


def method_of(study: Study, arm: str) -> str | None:
    """The arm's kind of adapter, which decides what code loads it."""
    return (study.arm(arm).adapter or {}).get("type")


def outline(study: Study) -> dict[str, Any]:
    """What tables and figures say of a study beside its scores: names, titles, settings."""
    tasks = {study.target_task, *study.source_tasks, *(b.task for b in study.benchmarks.values())}
    return {
        "title": study.title,
        "base_model": study.base_model_entry.get("title", study.base_model),
        "tasks": {
            task: {k: v for k, v in study.task_entries[task].items() if k != "forecast"}
            for task in sorted(tasks)
        },
        "target_task": study.target_task,
        "source_tasks": study.source_tasks,
        "seeds": study.seeds,
        "benchmarks": {name: vars(item) for name, item in study.benchmarks.items()},
        "arms": {name: vars(item) for name, item in study.arms.items()},
    }


def digest(content: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for the content."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


def plain(content: Any) -> Any:
    """Mappings and tuples of the study as JSON has them; whole floats as integers."""
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(item) for item in content]
    if isinstance(content, float) and content.is_integer():
        return int(content)
    return content
