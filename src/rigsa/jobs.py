"""The jobs of a study as a graph: which files each of them makes, and from which other jobs."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rigsa.analysis import figures, tables
from rigsa.bases import model_of
from rigsa.mask_rules import (
    RULES_AFTER_TRAINING,
    RULES_AGAINST_INITIAL_VALUES,
    RULES_WITH_GRADIENTS,
)
from rigsa.paths import ResultPaths, record
from rigsa.sources import Source, tasks_used
from rigsa.study import Checkpoint, Study

# What these show is in the study or in other files; all others are made from the scores.
WITHOUT_SCORES = frozenset({"table4", "tuning", "figure1", "figure5", "figure6"})


class Job(NamedTuple):
    """One job of a rule.

    `name` is that of its task, base model, benchmark, table or figure, or of the arm that is tuned.
    """

    rule: str
    arm: str = ""
    seed: int = 0
    step: int = 0
    name: str = ""

    def __str__(self) -> str:
        place = f"{self.arm}/seed{self.seed}/step{self.step}" if self.arm else ""
        return " ".join(part for part in (self.rule, place, self.name) if part)


class JobGraph:
    """All jobs whose results are kept with a record of how they were made."""

    def __init__(self, study: Study, sources: list[Source]) -> None:
        self.study = study
        self.sources = {source.name: source for source in sources}
        self._found: dict[Job, dict[str, Job]] = {}

    @property
    def trained_here(self) -> bool:
        """Whether the base model is made by a job and not fetched."""
        return self.study.base_model_entry["source"] == "trained"

    @property
    def chat_place(self) -> tuple[str, int, int]:
        """The checkpoint that figure 6 talks to: the last step of the arm with most of them."""
        trained = [arm for arm in self.study.arms.values() if arm.trained]
        arm = min(trained, key=lambda arm: (-arm.iterations, arm.name))
        return _place(self.study.last_checkpoint(arm.name, self.study.seeds[0]))

    def __iter__(self) -> Iterator[Job]:
        """Every job after those that it is made from."""
        study = self.study
        yield from (Job("fetch", name=name) for name in self.sources)
        entries = study.task_entries
        for task in sorted(tasks_used(study), key=lambda task: "subset_of" in entries[task]):
            yield Job("task_data", name=task)
        if self.trained_here:
            yield Job("base_model", name=study.base_model)
        # A mask may take the density of another arm's last one.
        points = [*study.trial_checkpoints(), *study.checkpoints()]
        points.sort(key=lambda point: "density_of" in (study.arm(point.arm).mask or {}))
        tuned = set()
        for point in points:
            if point.arm in study.trials and point.arm not in tuned:
                tuned.add(point.arm)
                yield Job("tune", name=point.arm)
            if study.arm(point.arm).masked(point.step):
                yield Job("select_mask", *_place(point))
            if study.arm(point.arm).trained:
                yield Job("train", *_place(point))
            for benchmark in study.benchmarks_of(point.arm, point.step):
                yield Job("evaluate", *_place(point), benchmark.name)
        yield Job("collect")
        yield from (Job("table", name=name) for name in tables.MODULES)
        yield Job("sample_chat")
        yield from (Job("figure", name=name) for name in figures.MODULES)

    def inputs(self, job: Job) -> dict[str, Job]:
        """The jobs that it is made from, by the names that its SPEC has for them."""
        if job not in self._found:
            self._found[job] = self._inputs(job)
        return self._found[job]

    def _inputs(self, job: Job) -> dict[str, Job]:
        study = self.study
        target = Job("task_data", name=study.target_task)
        match job.rule:
            case "task_data":
                return self._given(job.name)
            case "base_model":
                return {
                    task: Job("task_data", name=task) for task in study.base_model_entry["tasks"]
                }
            case "select_mask":
                return {"base_model": self._base(job.arm)} | self._mask_inputs(job)
            case "train":
                made = {"base_model": self._base(job.arm), "task_data": target}
                if study.arm(job.arm).masked(job.step):
                    made["mask"] = job._replace(rule="select_mask")
                    made |= self._rewound(job)
                if job.arm in study.trials:
                    made["tuning"] = Job("tune", name=job.arm)
                return made | self.replayed(job.arm)
            case "tune":
                return self.trials(job.name)
            case "evaluate":
                asked = Job("task_data", name=study.benchmarks[job.name].task)
                made = {"base_model": self._base(job.arm), "task_data": asked}
                if study.arms[job.arm].trained:
                    made["adapter"] = job._replace(rule="train", name="")
                return made
            case "collect":
                return {str(other): other for other in self if other.rule == "evaluate"}
            case "sample_chat":
                adapter = Job("train", *self.chat_place)
                made = {"base_model": self._base(adapter.arm), "task_data": target}
                made["adapter"] = adapter
                asked = {task: Job("task_data", name=task) for task in study.source_tasks}
                return made | asked
            case "figure" if job.name in WITHOUT_SCORES:
                if job.name == "figure6":
                    return {"chat": Job("sample_chat")}
                prompt = {"base_model": self._model(study.base_model)}
                return {"task_data": target} | (prompt if job.name == "figure5" else {})
            case "table" if job.name == "tuning":
                return {arm: Job("tune", name=arm) for arm in study.trials}
            case "table" | "figure" if job.name not in WITHOUT_SCORES:
                return {"scores": Job("collect")}
        return {}

    def trials(self, arm: str) -> dict[str, Job]:
        """The trainings that its learning rate is chosen by, in the order of the rates."""
        study = self.study
        lasts = [study.last_checkpoint(t.name, study.seeds[0]) for t in study.trials[arm]]
        return {f"trial{i}": Job("train", *_place(last)) for i, last in enumerate(lasts)}

    def replayed(self, arm: str) -> dict[str, Job]:
        """The data of the source tasks that the arm's training has rows of."""
        tasks = self.study.arm(arm).replayed
        return {f"replay_{task}": Job("task_data", name=task) for task in tasks}

    def outputs(self, job: Job, paths: ResultPaths) -> list[Path]:
        """The files that the job makes, its main one first."""
        point = paths.checkpoint(job.arm, job.seed, job.step)
        match job.rule:
            case "fetch":
                source = paths.source(self.sources[job.name].kind, job.name)
                model = self.sources[job.name].kind == "model"
                return [source, *[source.with_name("config.json")] * model]
            case "task_data":
                *rows, info = paths.task_files(job.name)
                return [info, *rows]
            case "base_model":
                *model, totals = paths.base_model_files(job.name)
                return [totals, *model]
            case "select_mask":
                return [point.mask]
            case "train":
                return [point.training, point.training_log, *point.adapter_files]
            case "tune":
                return [paths.tuning(job.name)]
            case "evaluate":
                return [point.evaluation(job.name), point.samples(job.name)]
            case "collect":
                return [paths.scores]
            case "table":
                return paths.table(job.name)
            case "sample_chat":
                return [paths.chat]
            case "figure":
                return paths.figure(job.name)
        raise ValueError(job.rule)

    def record(self, job: Job, paths: ResultPaths) -> Path:
        """Where it is written how the job's result was made."""
        return record(self.outputs(job, paths)[0])

    def _base(self, arm: str) -> Job:
        return self._model(model_of(self.study, arm))

    def _model(self, name: str) -> Job:
        return Job("base_model" if self.trained_here else "fetch", name=name)

    def _given(self, task: str) -> dict[str, Job]:
        entry = self.study.task_entries[task]
        if "subset_of" in entry:
            return {"given": Job("task_data", name=entry["subset_of"])}
        return {"given": Job("fetch", name=task)} if "hub" in entry else {}

    def _rewound(self, job: Job) -> dict[str, Job]:
        """The dense training whose values at some step are the later steps' initial ones."""
        rewinds = "rewind" in self.study.arm(job.arm).mask
        return {"rewind": job._replace(rule="train", step=0)} if rewinds else {}

    def _mask_inputs(self, job: Job) -> dict[str, Job]:
        """The same names as the flags of `rigsa select-mask`."""
        arm, found = self.study.arm(job.arm), {}
        rule = arm.mask["rule"]
        if job.step > 0:
            before = job._replace(step=job.step - 1)
            if rule in RULES_AFTER_TRAINING:
                found["previous_adapter"] = before._replace(rule="train")
            if arm.masked(job.step - 1):
                found["previous_mask"] = before
            if rule in RULES_AGAINST_INITIAL_VALUES:
                found |= self._rewound(job)
        if "density_of" in arm.mask:
            last = self.study.last_checkpoint(arm.mask["density_of"], job.seed)
            found["reference_mask"] = Job("select_mask", *_place(last))
        if rule in RULES_WITH_GRADIENTS:
            found["task_data"] = Job("task_data", name=self.study.target_task)
        if arm.warmup and arm.rates:
            found["tuning"] = Job("tune", name=job.arm)
        return found


def _place(point: Checkpoint) -> tuple[str, int, int]:
    return point.arm, point.seed, point.step
