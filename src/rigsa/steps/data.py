"""Steps that make task data and base models."""

from argparse import Namespace
from pathlib import Path

from rigsa.collector import importing
from rigsa.steps.step import (
    CHECKPOINTS,
    SPEC,
    THREADS,
    Step,
    argument,
    machine_of,
    output,
    read_spec,
)


def _task_data(options: Namespace) -> None:
    from rigsa import inputs
    from rigsa.provenance import recorded
    from rigsa.tasks.job import make_task_data

    spec, given = read_spec(options.spec), {}
    if options.given is not None:
        kind = inputs.data if "subset_of" in spec else inputs.fetched
        given = {"given": kind(options.given)}
    made = inputs.data(options.output)
    with recorded("task_data", spec, [made.main, *made.files], given):
        make_task_data(spec, options.output, options.given)


def _base_model(options: Namespace) -> None:
    with importing():
        from rigsa import inputs
        from rigsa.models.job import make_base_model
        from rigsa.provenance import recorded

    spec, machine = read_spec(options.spec), machine_of(options)
    given = dict(zip(spec["tasks"], map(inputs.data, options.task_data), strict=True))
    made = [options.output / name for name in ("training.json", "model.safetensors")]
    with recorded("base_model", spec, made, given, threads=machine.threads):
        make_base_model(spec, options.task_data, options.output, machine, options.unfinished)


def _fetch(options: Namespace) -> None:
    from rigsa.fetch import fetch
    from rigsa.provenance import recorded

    spec = read_spec(options.spec)
    with recorded("fetch", spec, [options.output / "source.json"], {}):
        fetch(spec, options.output)


def _sources(options: Namespace) -> None:
    from rigsa.files import read_json, write_json

    # results/base_models/<name>/source.json and results/tasks/<name>/source.json
    names = {"/".join(path.parts[-3:-1]): path for path in options.source}
    write_json(options.output, {name: read_json(path) for name, path in names.items()})


STEPS = (
    Step(
        "fetch",
        "Get a base model or a task's data.",
        "From the hub into the hub's cache, or from a folder, and links its files into DIR. The\n"
        "only step that uses the network; source.json says what was taken, down to the commit.",
        (SPEC, output("folder to fill")),
        _fetch,
        online=True,
    ),
    Step(
        "sources",
        "Sum up what a study took from outside.",
        "Gathers the source.json files of its base models and tasks.",
        (
            argument("source", type=Path, nargs="+", metavar="FILE", help="source.json files"),
            output("sources.json to write"),
        ),
        _sources,
    ),
    Step(
        "task-data",
        "Make the data of a task.",
        "Renders the target task's images as text, generates an embedded source task from its\n"
        "seed, or takes a stock task's rows as they are: train.jsonl, validation.jsonl and\n"
        "test.jsonl (empty where the task has no such split), info.json (counts and hashes).",
        (
            SPEC,
            argument(
                "--given",
                type=Path,
                metavar="DIR",
                help="what it is made from: the folder that `fetch` filled, or the whole task's "
                "folder for a subset",
            ),
            output("folder to write"),
        ),
        _task_data,
    ),
    Step(
        "base-model",
        "Make the base model.",
        "Trains the embedded base model from scratch on its source tasks' training text and saves\n"
        "a plain Hugging Face folder.",
        (
            SPEC,
            argument(
                "--task-data",
                type=Path,
                nargs="+",
                required=True,
                metavar="DIR",
                help="folders of the tasks that the spec names, in its order",
            ),
            output("folder to write"),
            THREADS,
            *CHECKPOINTS,
        ),
        _base_model,
    ),
)
