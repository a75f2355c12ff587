"""Which results are what the study says now, told from their records alone.

Snakemake compares with its own notes (.snakemake/), which are missing where results were copied,
and does not look into files. So this looks as well, before every run, in a fraction of a second.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from rigsa.definitions import BY_LIBRARIES, Definitions
from rigsa.errors import FileError
from rigsa.jobs import Job
from rigsa.paths import ResultPaths
from rigsa.records import read_record
from rigsa.specs import digest
from rigsa.versions import versions

Record = Mapping[str, Any]


class State(Enum):
    """What a result is beside what the study says of it now."""

    FRESH = "as the study says"
    MISSING = "not made"
    REDEFINED = "made from other settings, code or inputs"
    OUTDATED = "made from files that were made again since, and came out differently"


class Freshness:
    """The states of a study's results; every record is read once."""

    def __init__(self, definitions: Definitions, paths: ResultPaths) -> None:
        self.definitions, self.graph, self.paths = definitions, definitions.graph, paths
        self._records: dict[Job, Record | None] = {}
        self._states: dict[Job, State] = {}

    def record(self, job: Job) -> Record | None:
        """How the job's result was made; None where it was not, or nothing says how."""
        if job not in self._records:
            try:
                self._records[job] = read_record(self.graph.outputs(job, self.paths)[0])
            except FileError:
                self._records[job] = None
        return self._records[job]

    def state(self, job: Job) -> State:
        """A result is no fresher than what it is made from."""
        if job not in self._states:
            self._states[job] = self._state(job)
        return self._states[job]

    def all(self) -> dict[Job, State]:
        return {job: self.state(job) for job in self.graph}

    def _state(self, job: Job) -> State:
        record = self.record(job)
        if record is None:
            return State.MISSING
        if digest(record["spec"]) != self.definitions.definition(job):
            return State.REDEFINED
        inputs = self.graph.inputs(job)
        outdated = any(self.state(other) is State.OUTDATED for other in inputs.values())
        outdated = outdated or any(self.made_anew(job, name) for name in inputs)
        return State.OUTDATED if outdated else State.FRESH

    def made_anew(self, job: Job, name: str) -> bool:
        """Whether a file that the job was given has other content since, by its maker's record."""
        maker = self.record(self.graph.inputs(job)[name]) or {"files": {}}
        given = self.record(job)["inputs"].get(name, {})
        return any(maker["files"].get(file, content) != content for file, content in given.items())


def of_other_versions(found: Freshness) -> str | None:
    """One line on the results that were made with other versions of the libraries, if any."""
    now, then = versions(), dict[str, set[str]]()
    jobs = set()
    for job in found.graph:
        record = found.record(job) if job.rule in BY_LIBRARIES else None
        for library, version in (record["versions"] if record else {}).items():
            if version != now.get(library):
                then.setdefault(library, set()).add(str(version))
                jobs.add(job)
    if not jobs:
        return None
    changes = (f"{name} {' or '.join(sorted(then[name]))}, now {now.get(name)}" for name in then)
    return (
        f"{_counted(jobs)} made with {'; '.join(changes)}. `library_changes: rerun` in config.yaml "
        "would make the results follow the versions."
    )


def _counted(jobs: Iterable[Job]) -> str:
    jobs = list(jobs)
    checkpoints = sum(job.rule == "train" for job in jobs)
    return (
        f"{len(jobs)} result{'s' * (len(jobs) > 1)} (checkpoints: {checkpoints}) "
        f"{'were' if len(jobs) > 1 else 'was'}"
    )
