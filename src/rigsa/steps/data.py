"""Steps that make task data and base models."""

from argparse import Namespace
from pathlib import Path

from rigsa.steps.step import SPEC, THREADS, Step, argument, output, read_spec


def _task_data(options: Namespace) -> None:
    from rigsa.tasks.job import make_task_data

    make_task_data(read_spec(options.spec), options.output)


def _base_model(options: Namespace) -> None:
    from rigsa.models.job import make_base_model

    make_base_model(read_spec(options.spec), options.task_data, options.output, options.threads)


STEPS = (
    Step(
        "task-data",
        "Make the data of a task.",
        "Renders the target task's images as text, or generates an embedded source task from its\n"
        "seed: train.jsonl, validation.jsonl, test.jsonl and info.json (counts and hashes).",
        (SPEC, output("folder to write")),
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
        ),
        _base_model,
    ),
)
