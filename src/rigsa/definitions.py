"""What a result is defined by: settings, code, and what its inputs are defined by.

As in Nix, definitions chain: another density changes the mask's definition, with it that of the
training, with it those of its evaluations. So a result is what the study says where, and only
where, it was made from the definition that the study gives it now. No time stamp is looked at.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from rigsa import specs
from rigsa.analysis.reference import PAPER
from rigsa.behind import behind
from rigsa.config import resolve_precision
from rigsa.fingerprint import fingerprint
from rigsa.jobs import WITHOUT_SCORES, Job, JobGraph
from rigsa.sources import sources
from rigsa.study import Study
from rigsa.validation import read_yaml
from rigsa.versions import versions

# Jobs that run a model, whose numbers are the libraries'.
BY_LIBRARIES = frozenset({"base_model", "select_mask", "train", "evaluate", "sample_chat"})
RERUN = "rerun"


class Definitions:
    """SPECs and definitions of all jobs of a study, each made once.

    Args:
        config: config.yaml's content, of which the keys that decide results are looked at.
    """

    def __init__(self, study: Study, config: Mapping[str, Any]) -> None:
        self.study = study
        self.graph = JobGraph(study, sources(study, config))
        self.precision = resolve_precision(config, study)
        self.follows_libraries = config.get("library_changes") == RERUN
        folders = {key: config[key] for key in ("data_dir", "model_dir") if config.get(key)}
        # With the study, all that results follow from: `rigsa collect` is given it.
        self.deciding = {"precision": self.precision, **folders}
        if self.follows_libraries:
            self.deciding["library_changes"] = RERUN
        self.outline = specs.plain(specs.outline(study))
        self._outline = specs.digest(self.outline)
        self._specs: dict[Job, dict[str, Any]] = {}
        self._found: dict[Job, str] = {}

    def spec(self, job: Job) -> dict[str, Any]:
        """The whole derivation of a job's result, as plain JSON: settings, code and inputs."""
        if job not in self._specs:
            spec = specs.plain(self._settings(job))
            code = behind(job.rule, spec)
            if code:
                spec["code"] = fingerprint(code)
            if self.follows_libraries and job.rule in BY_LIBRARIES:
                spec["versions"] = versions()
            made = {name: self.definition(other) for name, other in self.graph.inputs(job).items()}
            if job.rule == "collect":
                # Too many for a command line; `rigsa collect` finds them again.
                made = {"evaluations": specs.digest(made)}
            self._specs[job] = spec | {"inputs": made}
        return self._specs[job]

    def definition(self, job: Job) -> str:
        """16 hexadecimal digits."""
        if job not in self._found:
            self._found[job] = specs.digest(self.spec(job))
        return self._found[job]

    def known(self, job: Job) -> Job | None:
        """An earlier arm's training or evaluation that is defined the same, and comes to the same.

        No two of them wait for each other: what a job is made from is never defined as it is.
        """
        place = job._replace(arm="")
        for other in self._alike.get(place, ()):
            if other == job:
                return None
            if self.definition(other) == self.definition(job):
                return other
        return None

    def taken(self) -> set[Job]:
        """Jobs whose results are there by then: those of earlier arms, and of trials."""
        study = self.study
        tuned = [p for p in study.checkpoints() if p.arm in study.trials]
        tried = {Job("train", p.arm, p.seed, p.step) for p in tuned if p.seed == study.seeds[0]}
        return tried | {job for alike in self._alike.values() for job in alike if self.known(job)}

    @cached_property
    def _alike(self) -> dict[Job, list[Job]]:
        """By seed, step and benchmark: what the graph has of all arms, in its order."""
        found: dict[Job, list[Job]] = {}
        for job in self.graph:
            if job.rule in ("train", "evaluate"):
                found.setdefault(job._replace(arm=""), []).append(job)
        return found

    def text(self, job: Job) -> str:
        """The SPEC as a command takes it."""
        return specs.canonical(self.spec(job))

    def _settings(self, job: Job) -> dict[str, Any]:
        study = self.study
        match job.rule:
            case "fetch":
                return dict(self.graph.sources[job.name].spec)
            case "task_data":
                return specs.task_settings(study, job.name)
            case "base_model":
                return specs.base_model_settings(study)
            case "select_mask":
                return specs.mask_settings(study, job.arm, job.seed, job.step, self.precision)
            case "train":
                return specs.training_settings(study, job.arm, job.seed, self.precision, job.step)
            case "tune":
                return specs.tuning_settings(study, job.name)
            case "evaluate":
                asked = study.benchmarks[job.name]
                return specs.evaluation_settings(study, job.arm, asked, self.precision)
            case "sample_chat":
                arm, _, _ = self.graph.chat_place
                return specs.chat_settings(study, arm, self.precision)
            case "collect":
                return {**self.deciding, "outline": self._outline}
            case "table":
                paper = specs.digest(read_yaml(PAPER))
                return {"table": job.name, "outline": self._outline, "paper": paper}
            case "figure":
                outline = {} if job.name in WITHOUT_SCORES else {"outline": self._outline}
                return {"figure": job.name, "look": study.figures, **outline}
        raise ValueError(job.rule)
