"""The two moves of every method: choose a mask, train."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from rigsa.steps.step import (
    BASE_MODEL,
    CHECKPOINTS,
    MACHINE,
    SPEC,
    TASK_DATA,
    TRAINING_MACHINE,
    Step,
    argument,
    machine_of,
    output,
    read_spec,
)


def _select_mask(options: Namespace) -> None:
    import torch

    from rigsa.masks.job import select_mask
    from rigsa.models.shapes import adapted_shapes

    spec = read_spec(options.spec)

    def gradients() -> dict[str, Any]:
        from rigsa.training.gradients import first_batch_gradients

        return first_batch_gradients(
            spec, options.base_model, options.task_data, machine_of(options)
        )

    # Threads share the matrices, not each operation: blocks of a matrix are too small for that.
    together = spec["scope"] == "global"
    torch.set_num_threads(options.threads if together else 1)
    select_mask(
        spec,
        adapted_shapes(options.base_model),
        options.output,
        previous_adapter=options.previous_adapter,
        previous_mask=options.previous_mask,
        reference_mask=options.reference_mask,
        gradients=gradients if options.task_data else None,
        threads=1 if together else options.threads,
    )


def _train(options: Namespace) -> None:
    from rigsa.paths import CheckpointPaths
    from rigsa.training.job import train

    train(
        read_spec(options.spec),
        options.base_model,
        options.task_data,
        options.mask,
        CheckpointPaths(options.output),
        machine_of(options),
        options.unfinished,
    )


STEPS = (
    Step(
        "select-mask",
        "Choose which weights the next training may move.",
        "Ranks the free weights by the spec's rule and keeps as many as its schedule says: by the\n"
        "trained weights of the step before (RIGSA: the largest of those that kept their sign),\n"
        "by chance, or by the gradient of the first batch. Writes one bit a weight.",
        (
            SPEC,
            BASE_MODEL,
            argument(
                "--previous-adapter",
                type=Path,
                metavar="DIR",
                help="trained adapter that the rule looks at",
            ),
            argument(
                "--previous-mask", type=Path, metavar="FILE", help="the mask it was trained with"
            ),
            argument(
                "--reference-mask",
                type=Path,
                metavar="FILE",
                help="mask of another arm, whose density is taken",
            ),
            argument("--task-data", type=Path, metavar="DIR", help="for rules that need gradients"),
            output("mask.safetensors to write"),
            *MACHINE,
        ),
        _select_mask,
    ),
    Step(
        "train",
        "Train one checkpoint.",
        "Puts the spec's adapter on the base model, trains it on the target task with the loss at\n"
        "the answer alone, and writes adapter/, training.jsonl (a line per logging step: loss,\n"
        "share of signs kept, density, gate, KL to the base, speed, memory) and training.json.\n"
        "With --unfinished, a training that was stopped goes on where it was, to the same bytes.",
        (
            SPEC,
            BASE_MODEL,
            TASK_DATA,
            argument(
                "--mask", type=Path, metavar="FILE", help="weights that may move; all if absent"
            ),
            output("checkpoint folder to write into"),
            *MACHINE,
            *TRAINING_MACHINE,
            *CHECKPOINTS,
        ),
        _train,
    ),
)
