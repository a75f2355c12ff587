"""`rigsa why FILE`: how a result was made, what has changed since, and what a run would redo."""

import os
from collections import Counter
from pathlib import Path

from rigsa.changes import changes, settings, show
from rigsa.errors import FileError
from rigsa.freshness import Freshness, Record, State
from rigsa.hashing import file_hash
from rigsa.jobs import Job
from rigsa.versions import versions

MOST_NAMED = 3  # jobs of a rule; of more, the number is given
MOST_FILES = 12


def why(found: Freshness, file: Path) -> str:
    """The whole text. FileError where the file is no result of the study."""
    job = find(found, file)
    record = found.record(job)
    parts = [f"{file}: {job}"]
    parts += [_made(record)] if record else ["Not made yet, or made without a record."]
    causes = changes(found, job)
    lines = [f"  {cause}: {line}" for cause in causes for line in causes[cause]]
    lines += _libraries(record) if record else []
    if lines:
        parts.append("\n".join(["Changed since", *lines]))
    else:
        parts.append("Changed since: nothing that it is made from.")
    parts.append(_redone(found, job))
    return "\n\n".join(parts)


def find(found: Freshness, file: Path) -> Job:
    """The job that makes the file, or what lies in this folder."""
    wanted = Path(os.path.relpath(file))
    for job in found.graph:
        made = [*found.graph.outputs(job, found.paths), found.graph.record(job, found.paths)]
        if any(wanted in (path, path.parent) for path in made):
            return job
    raise FileError(
        f"{file} is no result of the study {found.definitions.study.name}; name a file in "
        f"{found.paths.results}/, and with --study the study that it belongs to."
    )


def _made(record: Record) -> str:
    rows = [("Made", f"{record['finished']}, in {record['seconds']:g} s")]
    threads = record["threads"]
    rows.append(("On", f"{record['device']}; {threads} thread{'s' * (threads > 1)}"))
    given = (f"{name} {version}" for name, version in record["versions"].items() if version)
    rows.append(("With", ", ".join(given)))
    rows += _files(record)
    rows += [("Settings", f"{k}: {show(v)}") for k, v in settings(record["spec"]).items()]
    if record["code"]:
        rows.append(("Code", f"{len(record['code'])} modules, {record['spec'].get('code', '')}"))
    named = ((label if label != before else "", text) for before, (label, text) in _before(rows))
    return "\n".join(f"{label:<10}{text}" for label, text in named)


def _libraries(record: Record) -> list[str]:
    now = versions()
    return [
        f"  {name}: {version} → {now.get(name)} (`library_changes` says whether that invalidates)"
        for name, version in record["versions"].items()
        if version != now.get(name)
    ]


def _before(rows: list[tuple[str, str]]) -> list[tuple[str, tuple[str, str]]]:
    return list(zip(["", *(label for label, _ in rows)], rows, strict=False))


def _files(record: Record) -> list[tuple[str, str]]:
    rows = [
        (name, path, content)
        for name, files in record["inputs"].items()
        for path, content in files.items()
    ]
    shown = [(n, p, c, _now(Path(p), c)) for n, p, c in rows]
    if len(shown) > MOST_FILES:
        counts = Counter(state for *_, state in shown)
        return [("From", f"{count} files {state}") for state, count in counts.items()]
    names, paths = (max((len(row[i]) for row in shown), default=0) for i in (0, 1))
    return [("From", f"{n:<{names}}  {p:<{paths}}  {c[:8]}  {state}") for n, p, c, state in shown]


def _now(file: Path, content: str) -> str:
    if not file.is_file():
        return "gone"
    return "as now" if file_hash(file) == content else "changed since"


def _redone(found: Freshness, job: Job) -> str:
    """Jobs that a run would do again, of those that the result is made from or that follow it."""
    graph, related = found.graph, {job}
    above = [job]
    while above:
        others = set(graph.inputs(above.pop()).values()) - related
        related |= others
        above += others
    following = {job}
    for other in graph:
        if not following.isdisjoint(graph.inputs(other).values()):
            following.add(other)
    jobs: dict[str, list[Job]] = {}
    for other in graph:
        if other in related | following and found.state(other) is not State.FRESH:
            jobs.setdefault(other.rule, []).append(other)
    if not jobs:
        return "A run would make nothing of it again: it is what the study says."
    lines = [f"  {rule} {_named(made)}".rstrip() for rule, made in jobs.items()]
    return "\n".join(["A run would make again, of this and what follows from it", *lines])


def _named(jobs: list[Job]) -> str:
    if len(jobs) > MOST_NAMED:
        return f"({len(jobs)})"
    return ", ".join(str(job._replace(rule="")) for job in jobs).strip()
