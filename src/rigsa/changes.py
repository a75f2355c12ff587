"""What has changed since a result was made: settings by key, code by module, inputs by cause."""

from collections.abc import Iterator, Mapping
from typing import Any

from rigsa.behind import behind
from rigsa.freshness import Freshness, State
from rigsa.jobs import Job

# Parts of a SPEC that are looked at by themselves: no setting.
NO_SETTINGS = frozenset({"code", "inputs", "versions", "outline"})


def settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a SPEC by dotted key: {"training.learning_rate": 0.01, ...}."""
    return dict(_flat({key: value for key, value in spec.items() if key not in NO_SETTINGS}))


def changes(found: Freshness, job: Job) -> dict[Job, list[str]]:
    """Why the result is not what the study says: one line a change, by the job that it concerns.

    Where an input is defined otherwise, its own changes say why, down to the first cause.
    """
    causes: dict[Job, list[str]] = {}
    _collect(found, job, causes, set())
    return causes


def _collect(found: Freshness, job: Job, causes: dict[Job, list[str]], seen: set[Job]) -> None:
    if job in seen or found.state(job) is State.FRESH:
        return
    seen.add(job)
    record = found.record(job)
    if record is None:
        causes[job] = ["its record is gone, or it was never made"]
        return
    for other in found.graph.inputs(job).values():
        _collect(found, other, causes, seen)
    lines = list(_own(found, job, record))
    if lines:
        causes[job] = lines


def _own(found: Freshness, job: Job, record: Mapping[str, Any]) -> Iterator[str]:
    """What is not due to another job's being defined otherwise now."""
    definitions = found.definitions
    spec = definitions.spec(job)
    yield from _differences(settings(record["spec"]), settings(spec))
    if record["spec"].get("outline") != spec.get("outline"):
        outline = dict(_flat(record.get("outline", {})))
        yield from _differences(outline, dict(_flat(definitions.outline)))
    if record["spec"].get("code") != spec.get("code"):
        now = behind(job.rule, spec)
        names = sorted(n for n in now | record["code"] if now.get(n) != record["code"].get(n))
        yield f"code: {', '.join(names)}"
    yield from _differences(
        dict(_flat({"versions": record["spec"].get("versions", {})})),
        dict(_flat({"versions": spec.get("versions", {})})),
    )
    inputs = found.graph.inputs(job)
    given = record["spec"].get("inputs", {})
    if job.rule == "collect":
        return
    for name in inputs.keys() | given.keys():
        if name not in inputs or name not in given:
            yield f"{name}: {'no longer' if name in given else 'now'} an input"
        elif given[name] != definitions.definition(inputs[name]):
            if found.state(inputs[name]) is State.FRESH:
                yield f"{name}: made anew since, as the study says now"
        elif found.made_anew(job, name):
            yield f"{name}: made again since, and it came out differently"


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(then.keys() | now.keys()):
        if key not in now:
            yield f"{key}: {show(then[key])}, no longer given"
        elif key not in then:
            yield f"{key}: now {show(now[key])}"
        elif then[key] != now[key]:
            yield f"{key}: {show(then[key])} → {show(now[key])}"


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def show(value: Any) -> str:
    """A setting as people read it."""
    return "none" if value is None else str(value)
