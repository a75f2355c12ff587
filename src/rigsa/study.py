"""The study as typed, immutable objects: base model, tasks, arms, seeds, steps. Read this first.

Snakemake parses with this module on every call, so it must not import torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rigsa import schedule
from rigsa.errors import ConfigError
from rigsa.validation import check, one_of, read_yaml

SCHEMAS = Path("workflow/schemas")
STUDIES = Path("studies")
CATALOG = STUDIES / "catalog"

# Mask rules that look at a trained predecessor; the first training of such an arm is dense.
RULES_AFTER_TRAINING = frozenset(
    {
        "large_final",
        "small_final",
        "large_final_same_sign",
        "large_final_diff_sign",
        "magnitude_increase",
        "movement",
    }
)
RULES_WITH_GRADIENTS = frozenset({"snip", "grad"})


@dataclass(frozen=True)
class Benchmark:
    """One question asked of checkpoints: a task, with how many examples before it.

    `sampler` is lm-eval's name for how they are chosen; None leaves it to the task.
    """

    name: str
    task: str
    fewshot: int
    limit: int | None = None
    arms: tuple[str, ...] | None = None
    sampler: str | None = None


@dataclass(frozen=True)
class Arm:
    """One method with one setting. Without an adapter it is a base model as it stands."""

    name: str
    title: str
    base: str
    adapter: Mapping[str, Any] | None
    iterations: int
    mask: Mapping[str, Any] | None
    training: Mapping[str, Any]

    @property
    def trained(self) -> bool:
        return self.adapter is not None

    @property
    def starts_dense(self) -> bool:
        """IMP arms train every weight first; one-shot arms begin with their mask."""
        return self.mask is None or self.iterations > 1

    def masked(self, step: int) -> bool:
        return self.mask is not None and (step > 0 or not self.starts_dense)


@dataclass(frozen=True, order=True)
class Checkpoint:
    """What is trained, evaluated and reported: one IMP step of one arm with one seed."""

    arm: str
    seed: int
    step: int


@dataclass(frozen=True)
class Study:
    """One experiment file with the catalogue entries that it names."""

    name: str
    title: str
    gpu: bool
    base_model: str
    base_model_entry: Mapping[str, Any]
    target_task: str
    source_tasks: tuple[str, ...]
    task_entries: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    benchmarks: Mapping[str, Benchmark]
    arms: Mapping[str, Arm]
    figures: Mapping[str, Any] = field(default_factory=dict)

    def checkpoints(self, arm: str | None = None) -> list[Checkpoint]:
        """All checkpoints in the file's order. An untrained arm has one, for the first seed."""
        found = []
        for item in self.arms.values() if arm is None else [self.arms[arm]]:
            for seed in self.seeds if item.trained else self.seeds[:1]:
                found += [Checkpoint(item.name, seed, step) for step in range(item.iterations)]
        return found

    def benchmarks_of(self, arm: str) -> list[Benchmark]:
        return [b for b in self.benchmarks.values() if b.arms is None or arm in b.arms]

    def last_checkpoint(self, arm: str, seed: int) -> Checkpoint:
        return Checkpoint(arm, seed, self.arms[arm].iterations - 1)

    def density(self, arm: str, step: int) -> float | None:
        """Scheduled density of a step; None where it only follows from the training itself."""
        item = self.arms[arm]
        if not item.masked(step):
            return 1.0
        reference = item.mask.get("density_of")
        if reference is not None:
            return self.density(reference, self.arms[reference].iterations - 1)
        return schedule.density(item.mask, step, item.iterations)


def study_names() -> list[str]:
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def load_study(name: str) -> Study:
    """Reads and checks studies/<name>.yaml and the catalogue; raises ConfigError."""
    path = STUDIES / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"config.yaml: study is {name!r}; {one_of(name, study_names())}")
    content = read_yaml(path)
    check(content, SCHEMAS / "study.schema.yaml", path)
    base_models, tasks = _catalog("base_models"), _catalog("tasks")
    base_model = content["base_model"]
    if base_model not in base_models:
        raise ConfigError(
            f"{path}: base_model is {base_model!r}; {one_of(base_model, base_models)}"
        )
    study = Study(
        name=name,
        title=content["title"],
        gpu=content.get("gpu", False),
        base_model=base_model,
        base_model_entry=_frozen(base_models[base_model]),
        target_task=content["target_task"],
        source_tasks=tuple(content["source_tasks"]),
        task_entries=_frozen(tasks),
        seeds=tuple(content["seeds"]),
        benchmarks=_frozen({key: _benchmark(key, b) for key, b in content["benchmarks"].items()}),
        arms=_frozen({key: _arm(key, arm, content) for key, arm in content["arms"].items()}),
        figures=_frozen(content.get("figures", {})),
    )
    _check_tasks(study, path)
    for arm in study.arms.values():
        _check_arm(study, arm, path)
    return study


def _catalog(name: str) -> dict[str, Any]:
    path = CATALOG / f"{name}.yaml"
    content = read_yaml(path)
    check(content, SCHEMAS / f"{name}.schema.yaml", path)
    return content


def _benchmark(name: str, content: Mapping[str, Any]) -> Benchmark:
    arms = content.get("arms")
    return Benchmark(
        name,
        content["task"],
        content["fewshot"],
        content.get("limit"),
        None if arms is None else tuple(arms),
        content.get("sampler"),
    )


def _arm(name: str, content: Mapping[str, Any], study: Mapping[str, Any]) -> Arm:
    return Arm(
        name=name,
        title=content["title"],
        base=content.get("base", "full"),
        adapter=_frozen(content["adapter"]) if "adapter" in content else None,
        iterations=content.get("iterations", 1),
        mask=_frozen(content["mask"]) if "mask" in content else None,
        training=_frozen({**study["training"], **content.get("training", {})}),
    )


def _frozen(content: Any) -> Any:
    if isinstance(content, Mapping):
        return MappingProxyType({key: _frozen(value) for key, value in content.items()})
    return tuple(_frozen(item) for item in content) if isinstance(content, list) else content


def _check_tasks(study: Study, path: Path) -> None:
    named = {"target_task": study.target_task}
    named |= {f"source_tasks.{i}": task for i, task in enumerate(study.source_tasks)}
    named |= {f"benchmarks.{b.name}.task": b.task for b in study.benchmarks.values()}
    for key, task in named.items():
        if task not in study.task_entries:
            raise ConfigError(f"{path}: {key} is {task!r}; {one_of(task, study.task_entries)}")
    for kind, tasks in (("target", [study.target_task]), ("source", study.source_tasks)):
        asked = {b.task for b in study.benchmarks.values() if b.arms is None}
        for task in tasks:
            if task not in asked:
                raise ConfigError(
                    f"{path}: no benchmark asks {kind} task {task!r} of every arm; add one to "
                    "benchmarks."
                )
    for task in study.base_model_entry.get("tasks", ()):
        if task not in study.task_entries:
            raise ConfigError(
                f"{CATALOG}/base_models.yaml: {study.base_model}.tasks names {task!r}; "
                f"{one_of(task, study.task_entries)}"
            )
    pictures = [name for name, entry in study.task_entries.items() if "images" in entry]
    for name, entry in study.task_entries.items():
        whole = entry.get("subset_of")
        if whole is not None and whole not in pictures:
            raise ConfigError(
                f"{CATALOG}/tasks.yaml: {name}.subset_of is {whole!r}, which is no task of images; "
                f"{one_of(whole, pictures)}"
            )
    for benchmark in study.benchmarks.values():
        for arm in benchmark.arms or ():
            if arm not in study.arms:
                raise ConfigError(
                    f"{path}: benchmarks.{benchmark.name}.arms names {arm!r}; "
                    f"{one_of(arm, study.arms)}"
                )


def _rounds_stochastically(training: Mapping[str, Any]) -> bool:
    options = training.get("optimizer_options", {})
    low_bit = training["optimizer"] in ("adamw_torch_8bit", "adamw_torch_4bit")
    return low_bit and options.get("bf16_stochastic_round", False)


def _check_arm(study: Study, arm: Arm, path: Path) -> None:
    where = f"{path}: arms.{arm.name}"
    if arm.base == "four_bit" and "four_bit" not in study.base_model_entry:
        raise ConfigError(
            f"{where}.base is four_bit, but {CATALOG}/base_models.yaml gives {study.base_model} "
            "no four_bit entry; add one, or use base: full."
        )
    if arm.adapter is None:
        for key, given in (("mask", arm.mask is not None), ("iterations", arm.iterations > 1)):
            if given:
                raise ConfigError(f"{where}.{key} needs an adapter; add {arm.name}.adapter.")
        return
    if arm.adapter["type"] == "sparse_delta" and arm.base == "four_bit":
        raise ConfigError(f"{where}.base is four_bit, and a sparse delta needs base: full.")
    if arm.adapter.get("dtype") == "bfloat16" and not _rounds_stochastically(arm.training):
        raise ConfigError(
            f"{where}.adapter.dtype is bfloat16, in which small steps are lost with optimizer "
            f"{arm.training['optimizer']}; use adamw_torch_8bit or adamw_torch_4bit with "
            "optimizer_options: {bf16_stochastic_round: true}, or dtype: float32."
        )
    if arm.mask is None:
        if arm.iterations > 1:
            raise ConfigError(f"{where}.iterations needs a mask rule; add {arm.name}.mask.")
        return
    if arm.adapter["type"] != "sparse_delta":
        raise ConfigError(
            f"{where}.mask does not go with an adapter of type {arm.adapter['type']!r}; "
            "masks are for sparse_delta."
        )
    if arm.starts_dense is False and arm.mask["rule"] in RULES_AFTER_TRAINING:
        raise ConfigError(
            f"{where}.mask.rule {arm.mask['rule']!r} looks at trained weights; set iterations to 2 "
            "or more, so that there is a dense step before it."
        )
    schedule.check(arm.mask, arm.iterations, f"{where}.mask")
    reference = arm.mask.get("density_of")
    # An arm that takes its density from elsewhere gives none, so that there is no circle.
    masked = [a.name for a in study.arms.values() if a.mask and "density_of" not in a.mask]
    if reference is not None and reference not in masked:
        raise ConfigError(
            f"{where}.mask.density_of is {reference!r}, which is no arm with a mask; "
            f"{one_of(reference, masked)}"
        )
