"""Which code is behind each kind of job: no more than what its settings make it run."""

import hashlib
from collections.abc import Mapping
from typing import Any

from rigsa.adapters.registration import METHOD_MODULES
from rigsa.analysis import figures, tables
from rigsa.fingerprint import ROOT, code_behind
from rigsa.mask_rules import RULES_WITH_GRADIENTS

# What only some trainings run: it words the source tasks' rows; it draws masks.
REPLAY, EARLY_BIRD = "rigsa.training.replay", "rigsa.training.early_bird"
# What trains before a mask is chosen, where something does.
WARMUP = "rigsa.training.warmup"
# What none of PEFT's own methods has.
MASKS = ("rigsa.masks.storage", "rigsa.masks.values")
TASK_KINDS = {
    "generator": "rigsa.tasks.generated",
    "images": "rigsa.tasks.textual_digits",
    "given": "rigsa.tasks.given",
}


def behind(rule: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """A hash by module for a job of a rule of the workflow; empty where no code decides it."""
    match rule:
        case "task_data":
            return _task_data(settings)
        case "base_model":
            return code_behind("rigsa.models.job")
        case "select_mask":
            return _mask(settings)
        case "train":
            return _train(settings)
        case "tune":
            return code_behind("rigsa.training.tuning")
        case "evaluate":
            return _with_method("rigsa.evaluation.job", settings["method"]) | _asked(settings)
        case "sample_chat":
            return _with_method("rigsa.evaluation.sample", settings["method"])
        case "collect":
            return code_behind("rigsa.analysis.collect")
        case "table":
            return code_behind("rigsa.analysis.tables", tables.MODULES[settings["table"]])
        case "figure":
            return code_behind("rigsa.analysis.figures", figures.MODULES[settings["figure"]])
    return {}


def _train(settings: Mapping[str, Any]) -> dict[str, str]:
    method, asked = settings["adapter"]["type"], settings.get("replayed", ())
    without, only = [] if asked else [REPLAY], {}
    if "early_bird" in settings:
        only["rigsa.masks.criteria"] = settings["early_bird"]["mask"]["rule"]
    else:
        without.append(EARLY_BIRD)
    found = _with_method("rigsa.training.job", method, tuple(without), only)
    for task in asked:
        found |= _asked(task)
    return found


def _with_method(
    module: str,
    method: str | None,
    without: tuple[str, ...] = (),
    only: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The code of a job on an adapted model; PEFT's own methods have none of ours."""
    if method in METHOD_MODULES:
        return code_behind(module, METHOD_MODULES[method], without=without, only=only)
    return code_behind(module, without=(*MASKS, *without))


def _asked(settings: Mapping[str, Any]) -> dict[str, str]:
    """Our own lm-eval tasks are code of this package as well; stock ones are lm-eval's."""
    file = ROOT / "tasks" / "lm_eval" / f"{settings['lm_eval']}.yaml"
    if not file.is_file():
        return {}
    lines = (line for line in file.read_text().splitlines() if not line.startswith("#"))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    return {f"rigsa/tasks/lm_eval/{file.name}": digest}


def _mask(settings: Mapping[str, Any]) -> dict[str, str]:
    modules = ["rigsa.masks.job", "rigsa.models.shapes"]
    if settings["rule"] in RULES_WITH_GRADIENTS:
        modules.append("rigsa.training.gradients")
        # A warm-up is of PEFT's own LoRA, whatever is trained afterwards.
        if "warmup" not in settings:
            modules.append(METHOD_MODULES[settings["adapter"]["type"]])
    without = () if "warmup" in settings else (WARMUP,)
    return code_behind(*modules, only={"rigsa.masks.criteria": settings["rule"]}, without=without)


def _task_data(settings: Mapping[str, Any]) -> dict[str, str]:
    given = "stock" in settings or settings.get("images") == "mnist" or "subset_of" in settings
    kind = "given" if given else "generator" if "generator" in settings else "images"
    return code_behind(
        "rigsa.tasks.job",
        only={"rigsa.tasks.generated": settings.get("generator", "")},
        without=tuple(module for name, module in TASK_KINDS.items() if name != kind),
    )
