"""The study as typed, immutable objects: base model, tasks, arms, seeds, steps. Read this first.

Snakemake parses with this module on every call, so it must not import torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rigsa import schedule
from rigsa.catalog import SCHEMAS, read_catalog, read_checked
from rigsa.errors import ConfigError
from rigsa.methods import LOW_RANK
from rigsa.study_checks import check_study
from rigsa.validation import one_of, shown

STUDIES = Path("studies")


@dataclass(frozen=True)
class Benchmark:
    """One question asked of checkpoints: a task, with how many examples before it.

    `sampler` is lm-eval's name for how they are chosen; None leaves it to the task. `steps` is
    "last" where only an arm's last step is asked.
    """

    name: str
    task: str
    fewshot: int
    limit: int | None = None
    arms: tuple[str, ...] | None = None
    sampler: str | None = None
    steps: str = "all"


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
    def gpus(self) -> int:
        """Cards that share a training."""
        return self.training.get("gpus", 1)

    @property
    def replayed(self) -> tuple[str, ...]:
        """Tasks of which every batch of a training has some rows as well."""
        return tuple(self.training.get("replay", {}).get("tasks", ())) if self.trained else ()

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates that are tried; none where the study gives the one."""
        rate = self.training.get("learning_rate")
        return rate if self.trained and isinstance(rate, tuple) else ()

    @property
    def warmup(self) -> Mapping[str, Any] | None:
        """The low-rank training before the gradients that the mask is chosen by, or None.

        Its steps; its adapter, of which the arm's own has what the mask does not say; and its
        settings, which are the arm's, for one card and the target task alone.
        """
        if self.mask is None or "warmup" not in self.mask:
            return None
        options = {**self.adapter, **self.mask["warmup"]}
        low_rank = {key: options[key] for key in LOW_RANK if key in options}
        others = ("gpus", "logs", "replay")
        return {
            "steps": options["steps"],
            "adapter": {"type": "lora", **low_rank},
            "training": {key: self.training[key] for key in self.training if key not in others},
        }

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

    @cached_property
    def trials(self) -> Mapping[str, tuple[Arm, ...]]:
        """By the name of an arm with several learning rates: the arm with each of them.

        A trial is trained with the first seed, in all its iterations, and not evaluated.
        """
        return {arm.name: _trials(arm) for arm in self.arms.values() if arm.rates}

    @cached_property
    def _all_arms(self) -> Mapping[str, Arm]:
        return {**self.arms, **{t.name: t for trials in self.trials.values() for t in trials}}

    def arm(self, name: str) -> Arm:
        """An arm of the study, or a trial of one."""
        return self._all_arms[name]

    def checkpoints(self, arm: str | None = None) -> list[Checkpoint]:
        """All checkpoints in the file's order. An untrained arm has one, for the first seed."""
        found = []
        for item in self.arms.values() if arm is None else [self.arms[arm]]:
            for seed in self.seeds if item.trained else self.seeds[:1]:
                found += [Checkpoint(item.name, seed, step) for step in range(item.iterations)]
        return found

    def trial_checkpoints(self) -> list[Checkpoint]:
        return [
            Checkpoint(trial.name, self.seeds[0], step)
            for trials in self.trials.values()
            for trial in trials
            for step in range(trial.iterations)
        ]

    def benchmarks_of(self, arm: str, step: int) -> list[Benchmark]:
        """What a step of the arm is asked; a trial is asked nothing."""
        if arm not in self.arms:
            return []
        last = step == self.arms[arm].iterations - 1
        asked = (b for b in self.benchmarks.values() if last or b.steps == "all")
        return [b for b in asked if b.arms is None or arm in b.arms]

    def last_checkpoint(self, arm: str, seed: int) -> Checkpoint:
        return Checkpoint(arm, seed, self.arm(arm).iterations - 1)

    def density(self, arm: str, step: int) -> float | None:
        """Scheduled density of a step; None where it only follows from the training itself."""
        item = self.arm(arm)
        if not item.masked(step):
            return 1.0
        reference = item.mask.get("density_of")
        if reference is not None:
            return self.density(reference, self.arms[reference].iterations - 1)
        return schedule.density(item.mask, step, item.iterations)


def study_names() -> list[str]:
    return sorted(path.stem for path in STUDIES.glob("*.yaml") if path.is_file())


def load_study(name: str) -> Study:
    """Reads and checks studies/<name>.yaml and the catalogue; raises ConfigError."""
    # A name out of the list is no path to a file elsewhere.
    if name not in study_names():
        raise ConfigError(f"config.yaml: study is {shown(name)}; {one_of(name, study_names())}")
    path = STUDIES / f"{name}.yaml"
    content = read_checked(path, SCHEMAS / "study.schema.yaml")
    base_models, tasks = read_catalog()
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
    check_study(study, path)
    return study


def _benchmark(name: str, content: Mapping[str, Any]) -> Benchmark:
    arms = content.get("arms")
    return Benchmark(
        name,
        content["task"],
        content["fewshot"],
        content.get("limit"),
        None if arms is None else tuple(arms),
        content.get("sampler"),
        content.get("steps", "all"),
    )


def _arm(name: str, content: Mapping[str, Any], study: Mapping[str, Any]) -> Arm:
    return Arm(
        name=name,
        title=content["title"],
        base=content.get("base", "full"),
        adapter=_frozen(content["adapter"]) if "adapter" in content else None,
        iterations=content.get("iterations", 1),
        mask=_frozen(content["mask"]) if "mask" in content else None,
        training=_frozen(_training({**study["training"], **content.get("training", {})})),
    )


def _trials(arm: Arm) -> tuple[Arm, ...]:
    """No study can name an arm so, as names have no dots."""
    return tuple(
        replace(
            arm,
            name=f"{arm.name}.lr{rate:g}",
            title=f"{arm.title}, {rate:g}",
            training=_frozen({**arm.training, "learning_rate": rate}),
        )
        for rate in arm.rates
    )


def _training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """One card is what a training without `gpus` has: to say so makes no other result of it."""
    return {key: value for key, value in settings.items() if (key, value) != ("gpus", 1)}


def _frozen(content: Any) -> Any:
    if isinstance(content, Mapping):
        return MappingProxyType({key: _frozen(value) for key, value in content.items()})
    return tuple(_frozen(item) for item in content) if isinstance(content, list) else content
