"""The moves of every method: choose a mask, train; and choose a learning rate by it."""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rigsa.errors import ConfigError
from rigsa.mask_rules import RULES_AFTER_TRAINING, RULES_WITH_GRADIENTS
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
    machine_of,
    output,
    read_spec,
)
from rigsa.validation import one_of


def _select_mask(options: Namespace) -> None:
    import torch

    from rigsa import inputs
    from rigsa.masks.job import select_mask
    from rigsa.models.shapes import adapted_shapes
    from rigsa.provenance import recorded

    spec = read_spec(options.spec)
    _check_rule(spec["rule"], spec["scope"], options)
    chosen = spec
    if "warmup" in spec:
        chosen = Spec({**spec, "warmup": _tuned(spec["warmup"], options.tuning)})

    def gradients() -> dict[str, Any]:
        from rigsa.training.gradients import summed_gradients

        return summed_gradients(chosen, options.base_model, options.task_data, machine_of(options))

    # Threads share the matrices, not each operation: blocks of a matrix are too small for that.
    together = spec["scope"] == "global"
    torch.set_num_threads(options.threads if together else 1)
    given = {
        "base_model": inputs.model(options.base_model),
        "previous_adapter": options.previous_adapter and inputs.adapter(options.previous_adapter),
        "previous_mask": options.previous_mask and inputs.single(options.previous_mask),
        "reference_mask": options.reference_mask and inputs.single(options.reference_mask),
        "task_data": options.task_data and inputs.data(options.task_data),
        "tuning": options.tuning and inputs.single(options.tuning),
        "rewind": options.rewind and inputs.rewound(options.rewind),
    }
    given = {name: item for name, item in given.items() if item}
    made = [options.output]
    where = {"device": options.device, "threads": options.threads}
    with recorded("select_mask", spec, made, given, **where):
        select_mask(
            spec,
            adapted_shapes(options.base_model),
            options.output,
            previous_adapter=options.previous_adapter,
            previous_mask=options.previous_mask,
            reference_mask=options.reference_mask,
            gradients=gradients if options.task_data else None,
            threads=1 if together else options.threads,
            rewound=options.rewind and options.rewind / REWIND,
        )


def _check_rule(rule: str, scope: str, options: Namespace) -> None:
    """A study has all that its rules need; a command given by hand may lack it."""
    from rigsa.masks.criteria import CRITERIA
    from rigsa.masks.scopes import SCOPES

    for name, value, known in (("rule", rule, (*CRITERIA, "random")), ("scope", scope, SCOPES)):
        if value not in known:
            raise ConfigError(f"SPEC has {name} {value!r}; {one_of(value, known)}")
    for flag, given, rules in (
        ("--task-data", options.task_data, RULES_WITH_GRADIENTS),
        ("--previous-adapter", options.previous_adapter, RULES_AFTER_TRAINING),
    ):
        if rule in rules and given is None:
            what = "gradients" if rules is RULES_WITH_GRADIENTS else "trained weights"
            raise ConfigError(f"SPEC has rule {rule!r}, which ranks by {what}; give {flag} DIR.")


def _train(options: Namespace) -> None:
    from rigsa import inputs
    from rigsa.batches import cards
    from rigsa.leases import held_fds
    from rigsa.paths import CheckpointPaths
    from rigsa.provenance import recorded
    from rigsa.training import ranks

    if ranks.follows():
        ranks.stay_with_parent()
    from rigsa.training.job import train
    from rigsa.training.trial import taken_from

    spec = _on_cards(read_spec(options.spec), options.gpus)
    chosen = _tuned(spec, options.tuning)
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
    work = partial(
        train,
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
        trial = _trial(spec, chosen, options.trials)
        if trial is None or not taken_from(trial, chosen, given, checkpoint):
            work()


def _tuned(spec: Spec, tuning: Path | None) -> Spec:
    """The spec with the learning rate that was chosen of its several."""
    rate = spec["training"]["learning_rate"]
    if isinstance(rate, list) != (tuning is not None):
        several = "several learning rates; give" if tuning is None else "one; leave out"
        raise ConfigError(f"SPEC has {several} --tuning FILE, which says what was chosen.")
    if tuning is None:
        return spec
    from rigsa.training.tuning import chosen_rate

    training = Spec({**spec["training"], "learning_rate": chosen_rate(tuning, rate)})
    return Spec({**spec, "training": training})


def _trial(spec: Spec, chosen: Spec, trials: Sequence[Path]) -> Path | None:
    """The checkpoint of the trial with the chosen rate, if trials are given."""
    if not trials:
        return None
    rates = spec["training"]["learning_rate"]
    if not isinstance(rates, list) or len(rates) != len(trials):
        raise ConfigError(
            "--trials needs a folder for each of the SPEC's several learning rates, in its order."
        )
    return trials[rates.index(chosen["training"]["learning_rate"])]


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


TUNING = argument(
    "--tuning",
    type=Path,
    metavar="FILE",
    help="which of the SPEC's learning rates was chosen, where it has several",
)
REWOUND = argument(
    "--rewind",
    type=Path,
    metavar="DIR",
    help="adapter of the dense training whose values of an early step are the initial ones",
)
STEPS = (
    Step(
        "select-mask",
        "Choose which weights the next training may move.",
        "Ranks the free weights by the spec's rule and keeps as many as its schedule says: by the\n"
        "trained weights of the step before (RIGSA: the largest of those that kept their sign),\n"
        "by chance, or by the gradient of the first batch or after a low-rank warm-up. Writes one\n"
        "bit a weight.",
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
            TUNING,
            REWOUND,
            output("mask.safetensors to write"),
            *MACHINE,
            *TRAINING_MACHINE,
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
            TUNING,
            argument(
                "--trials",
                type=Path,
                nargs="+",
                default=(),
                metavar="DIR",
                help="checkpoint folders of the rates that were tried, in the SPEC's order; the\n"
                "chosen one's result is taken if it is that of the same training",
            ),
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
