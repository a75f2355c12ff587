"""Steps that ask a checkpoint."""

from argparse import Namespace
from pathlib import Path

from rigsa.steps.step import BASE_MODEL, MACHINE, SPEC, TASK_DATA, Step, argument, machine_of, output, read_spec


def _evaluate(options: Namespace) -> None:
    from rigsa.evaluation.job import evaluate_checkpoint

    evaluate_checkpoint(
        read_spec(options.spec),
        options.base_model,
        options.task_data,
        options.adapter,
        options.output,
        machine_of(options),
    )


STEPS = (
    Step(
        "evaluate",
        "Ask a checkpoint one benchmark.",
        "Runs lm-eval in process on the base model with the adapter, and writes the score with its\n"
        "standard error as JSON and every sample's answer as parquet beside it.",
        (
            SPEC,
            BASE_MODEL,
            TASK_DATA,
            argument("--adapter", type=Path, metavar="DIR", help="the base itself if absent"),
            output("eval/<benchmark>.json to write"),
            *MACHINE,
        ),
        _evaluate,
    ),
)
