"""The forecast of a study: its jobs grouped by arm and step, and what does not fit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rigsa import jobs as graph
from rigsa.forecast.cards import GIB
from rigsa.forecast.jobs import Job, jobs
from rigsa.forecast.memory import FULL_STATES
from rigsa.forecast.setting import Setting
from rigsa.methods import METHODS


@dataclass(frozen=True)
class Group:
    """All jobs of one arm's step, over its seeds and benchmarks."""

    title: str
    jobs: tuple[Job, ...]

    def of(self, *rules: str) -> list[Job]:
        return [job for job in self.jobs if job.rule in rules]

    def hours(self, *rules: str) -> float:
        return sum(job.all_seconds for job in self.of(*rules)) / 3600

    @property
    def disk_bytes(self) -> int:
        return sum(job.disk_bytes for job in self.jobs)


@dataclass(frozen=True)
class Plan:
    """Everything that a study takes on a device."""

    setting: Setting
    jobs: tuple[Job, ...]

    @property
    def groups(self) -> list[Group]:
        """Base model and data first, then arms and their steps in the study's order."""
        found: dict[tuple[str | None, int | None], list[Job]] = {}
        for job in self.jobs:
            found.setdefault((job.arm, job.step), []).append(job)
        return [Group(self._title(*key), tuple(group)) for key, group in found.items()]

    @property
    def misfits(self) -> list[str]:
        """One sentence for each kind of job that is larger than the device."""
        return list(
            dict.fromkeys(
                self._misfit(job)
                for job in self.jobs
                if job.most_rows is not None and not self.fits(job)
            )
        )

    def fits(self, job: Job) -> bool:
        return self.tensors(job) <= self.setting.room

    def tensors(self, job: Job) -> int:
        """Bytes of a job's tensors, wherever they are."""
        on_cpu = job.host_bytes - self.setting.process_bytes
        return on_cpu if self.setting.card.is_cpu else job.device_bytes

    def _title(self, arm: str | None, step: int | None) -> str:
        if arm is None:
            return "Data and base model"
        item = self.setting.study.arm(arm)
        return f"{item.title}, step {step}" if item.iterations > 1 else item.title

    def _misfit(self, job: Job) -> str:
        key = "eval_batch_size" if job.rule == "evaluate" else "micro_batch_size"
        has = f"{self.setting.card.name} has room for {self.setting.room / GIB:.1f} GiB"
        takes = f"{job.name} takes {self.tensors(job) / GIB:.1f} GiB at {key} {job.rows}, and {has}"
        if job.most_rows:
            return f"{takes}: lower {key} to {job.most_rows}."
        return f"{takes}, too little even for one row: {self._way_out(job)}."

    def _way_out(self, job: Job) -> str:
        if job.rule == "select_mask":
            return "let its rule look at one of the batches, or use a card with more memory"
        if job.rule == "evaluate":
            return "give the benchmark a smaller fewshot, or use a card with more memory"
        arm = self.setting.study.arm(job.arm)
        ways = []
        if arm.training["optimizer"] in FULL_STATES:
            ways.append("an optimizer with 8-bit state (adamw_torch_8bit)")
        options = METHODS[arm.adapter["type"]].options
        if "dtype" in options and arm.adapter.get("dtype") != "bfloat16":
            ways.append("adapter values in bfloat16 (dtype)")
        if job.gpus > 1 and arm.base == "full" and not self.setting.shard_base_model:
            ways.append("shard_base_model: true")
        if not self.setting.recompute:
            ways.append("activation_checkpointing: full")
        return f"try {', '.join([*ways, 'a card with more memory'])}"

    def as_json(self) -> Mapping[str, Any]:
        """For a cluster's resources: each job by rule, arm, seed, step and benchmark."""
        setting = self.setting
        return {
            "study": setting.study.name,
            "device": setting.card.name,
            "precision": setting.precision,
            "micro_batch_size": setting.micro_batch_size,
            "eval_batch_size": setting.eval_batch_size,
            "does_not_fit": self.misfits,
            "jobs": [{**job.resources(), "fits": self.fits(job)} for job in self.jobs],
        }


def make_plan(setting: Setting, taken: Collection[graph.Job] = ()) -> Plan:
    """Counts every job of the setting's study. Raises ConfigError for what it cannot count.

    `taken` has those jobs that are not made, as another one's result is taken.
    """
    found = (
        replace(job, taken=graph.Job(job.rule, *job.place, job.benchmark or "") in taken)
        for job in jobs(setting)
    )
    return Plan(setting, tuple(found))
