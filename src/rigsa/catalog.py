"""The catalogue: base models and tasks that studies refer to by name, read and checked."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rigsa.errors import ConfigError
from rigsa.tasks.lm_eval_files import asked_metrics
from rigsa.validation import check, one_of
from rigsa.yaml_file import read_yaml

SCHEMAS = Path("workflow/schemas")
CATALOG = Path("studies/catalog")
BASE_MODELS, TASKS = CATALOG / "base_models.yaml", CATALOG / "tasks.yaml"

Entries = Mapping[str, Mapping[str, Any]]
# What makes a task's items, and the keys that go with it.
MADE_BY = {
    "generator": {"seed", "counts"},
    "images": {"seed"},
    "subset_of": {"seed", "counts"},
    "hub": set(),
}


def read_catalog() -> tuple[Entries, Entries]:
    """Base models and tasks by name; raises ConfigError that names file and key."""
    base_models, tasks = (
        read_checked(path, SCHEMAS / f"{path.stem}.schema.yaml") for path in (BASE_MODELS, TASKS)
    )
    for name, entry in tasks.items():
        _check_task(name, entry, tasks)
    for name, entry in base_models.items():
        _check_base_model(name, entry, tasks)
    # A ready 4-bit base has a folder of its own, and each of them a rule that fetches it.
    ready = [f"{name}_4bit" for name, entry in base_models.items() if ready_four_bit(entry)]
    check_different([*base_models, *ready, *tasks], f"{CATALOG}")
    return base_models, tasks


def read_checked(path: Path, schema: Path) -> Mapping[str, Any]:
    content = read_yaml(path)
    check(content, schema, path)
    return content


def ready_four_bit(base_model: Mapping[str, Any]) -> bool:
    """Whether the 4-bit base is a repository or a folder of its own, not made on loading."""
    entry = base_model.get("four_bit", {})
    return "repository" in entry or "folder" in entry


def check_different(names: Iterable[str], where: str) -> None:
    """Raises ConfigError where two names would be one file where capitals do not count."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            raise ConfigError(
                f"{where}: {name!r} and {seen[name.lower()]!r} would share their files; rename one "
                "of them."
            )
        seen[name.lower()] = name


def _check_task(name: str, entry: Mapping[str, Any], tasks: Entries) -> None:
    where = f"{TASKS}: {name}"
    ways = [way for way in MADE_BY if way in entry and (way != "hub" or "images" not in entry)]
    if len(ways) != 1:
        said = " and ".join(ways) or "none"
        raise ConfigError(f"{where} must say exactly one of {', '.join(MADE_BY)}; it says {said}.")
    (way,) = ways
    fetched = "hub" in entry
    for key in ("seed", "counts"):
        if (key in entry) != (key in MADE_BY[way]):
            needed = "needs" if key in MADE_BY[way] else "takes no"
            verb = _verb(key in entry)
            raise ConfigError(f"{where}.{way} {needed} {key}; {verb} {name}.{key}.")
    if way == "images" and fetched != (entry["images"] == "mnist"):
        verb = _verb(fetched)
        raise ConfigError(f"{where}.images is {entry['images']}; {verb} {name}.hub.")
    if way == "images" and fetched and "repository" not in entry["hub"]:
        raise ConfigError(f"{where}.hub lacks the key 'repository'.")
    if way == "hub":
        for key in ("repository", "config"):
            if key in entry["hub"]:
                raise ConfigError(
                    f"{where}.hub.{key} has no effect, as lm-eval's own task {entry['lm_eval']} "
                    "names its data; take it out."
                )
    pictures = [other for other in tasks if "images" in tasks[other]]
    if way == "subset_of" and entry["subset_of"] not in pictures:
        raise ConfigError(
            f"{where}.subset_of is {entry['subset_of']!r}, which is no task of images; "
            f"{one_of(entry['subset_of'], pictures)}"
        )
    metrics = asked_metrics(entry["lm_eval"], stock=way == "hub")
    if metrics is not None and entry["metric"] not in metrics:
        raise ConfigError(
            f"{where}.metric is {entry['metric']!r}; {one_of(entry['metric'], metrics)}"
        )


def _check_base_model(name: str, entry: Mapping[str, Any], tasks: Entries) -> None:
    if entry["source"] != "trained":
        return
    where = f"{BASE_MODELS}: {name}"
    if ready_four_bit(entry):
        raise ConfigError(
            f"{where}.four_bit names a ready model, and {name} is trained here; give quant_type, "
            "compute_dtype and double_quant."
        )
    generated = [task for task in tasks if "generator" in tasks[task]]
    for task in entry["tasks"]:
        if task not in generated:
            raise ConfigError(
                f"{where}.tasks names {task!r}, which no generator makes; {one_of(task, generated)}"
            )
    for key in ("most_turns", "mixture"):
        given = entry["training"][key]
        for task in sorted({*entry["tasks"], *given}):
            if (task in given) != (task in entry["tasks"]):
                raise ConfigError(
                    f"{where}.training.{key} must name each of {name}.tasks and nothing else; "
                    f"{task} is in one of them alone."
                )
    width, heads = (entry["architecture"][k] for k in ("hidden_size", "num_attention_heads"))
    if width % (2 * heads):
        raise ConfigError(
            f"{where}.architecture.hidden_size is {width}; it must be an even multiple of its "
            f"{heads} num_attention_heads."
        )


def _verb(given: bool) -> str:
    return "take out" if given else "add"
