"""The second move of every method: train; and choose a learning rate by it."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from rigsa.collector import importing
from rigsa.errors import ConfigError
from rigsa.paths import REWIND
from rigsa.steps.spec import Spec
from rigsa.steps.step import (
    BASE_MODEL,
    CHECKPOINTS,
    MACHINE,
    SPEC,
    TASK_DATA,
    TRAINING_MACHINE,
    Step,
    argument,
    known,
    machine_of,
    output,
    read_spec,
)
from rigsa.steps.tuned import REWOUND, TUNING, tuned


def _train(options: Namespace) -> None:
    with importing():
        from rigsa import inputs
        from rigsa.batches import cards
        from rigsa.known import take_checkpoint
        from rigsa.leases import held_fds
        from rigsa.paths import CheckpointPaths
        from rigsa.provenance import recorded
        from rigsa.training import ranks

    if ranks.follows():
        ranks.stay_with_parent()
    spec = _on_cards(read_spec(options.spec), options.gpus)
    chosen = tuned(spec, options.tuning)
    machine = machine_of(options, cards(spec["training"]))
    checkpoint = CheckpointPaths(options.output)
    given = {
        "base_model": inputs.model(options.base_model),
        "task_data": inputs.data(options.task_data),
    }
    if options.mask is not None:
        given["mask"] = inputs.single(options.mask)
    if options.tuning is not None:
        given["tuning"] = inputs.single(options.tuning)
    if options.rewind is not None:
        given["rewind"] = inputs.rewound(options.rewind)
    replayed = _replayed(spec, options.replay_data)
    given |= {f"replay_{task}": inputs.data(folder) for task, folder in replayed.items()}
    made = [checkpoint.training, *checkpoint.adapter_files, checkpoint.rewind]

    def work() -> None:
        # What is taken need not wait for this.
        with importing():
            from rigsa.training.job import train

        train(
            chosen,
            options.base_model,
            options.task_data,
            options.mask,
            checkpoint,
            machine,
            options.unfinished,
            options.command,
            held_fds(),
            options.replay_data,
            options.rewind and options.rewind / REWIND,
        )

    if ranks.follows():
        work()
        return
    with recorded("train", spec, made, given, device=machine.device, threads=machine.threads):
        if not take_checkpoint(options.known, chosen, given, checkpoint):
            work()


def _tune(options: Namespace) -> None:
    from rigsa import inputs
    from rigsa.paths import CheckpointPaths
    from rigsa.provenance import recorded
    from rigsa.training.tuning import tune

    spec = read_spec(options.spec)
    trials = [CheckpointPaths(folder) for folder in options.trials]
    rates = spec["learning_rates"]
    if len(trials) != len(rates):
        raise ConfigError(
            f"--trials has {len(trials)} folders, and the SPEC {len(rates)} learning rates; give "
            "one for each, in this order."
        )
    given = {f"trial{i}": inputs.adapter(trial.adapter) for i, trial in enumerate(trials)}
    with recorded("tune", spec, [options.output], given):
        tune(spec, [trial.training for trial in trials], options.output)


def _replayed(spec: Spec, folders: Sequence[Path]) -> dict[str, Path]:
    """The data of the source tasks that every batch has rows of, by task."""
    replayed = spec["replayed"] if "replay" in spec["training"] else []
    tasks = [task["task"] for task in replayed]
    if len(tasks) != len(folders):
        raise ConfigError(
            f"--replay-data has {len(folders)} folders, and the SPEC replays {len(tasks)} tasks "
            f"({', '.join(tasks) or 'none'}); give one for each, in this order."
        )
    return dict(zip(tasks, folders, strict=True))


def _on_cards(spec: Spec, gpus: int | None) -> Spec:
    """The spec for so many cards, which are part of it: sums over several are rounded otherwise."""
    training = Spec(spec["training"])
    if gpus is not None:
        training["gpus"] = gpus
    if training.get("gpus") == 1:
        del training["gpus"]
    return Spec({**spec, "training": training})


STEPS = (
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
            TUNING,
            known("folders of other checkpoints, such as those of the rates that were tried"),
            argument(
                "--replay-data",
                type=Path,
                nargs="+",
                default=(),
                metavar="DIR",
                help="folders of the tasks that the SPEC replays, in its order",
            ),
            REWOUND,
            output("checkpoint folder to write into"),
            *MACHINE,
            *TRAINING_MACHINE,
            argument(
                "--gpus",
                type=int,
                metavar="N",
                help="cards, or processes on the CPU, that share each batch; default: the SPEC's",
            ),
            *CHECKPOINTS,
        ),
        _train,
    ),
    Step(
        "tune",
        "Choose a learning rate.",
        "Of trainings that differ in it alone, the one with the least loss on the validation\n"
        "split. Writes the rate, and what each training came to.",
        (
            SPEC,
            argument(
                "--trials",
                type=Path,
                nargs="+",
                required=True,
                metavar="DIR",
                help="checkpoint folders, one for each of the SPEC's rates, in its order",
            ),
            output("file to write"),
        ),
        _tune,
    ),
)
