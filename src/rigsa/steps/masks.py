"""The first move of every method: choose a mask."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from rigsa.collector import importing
from rigsa.errors import ConfigError
from rigsa.mask_rules import RULES_AFTER_TRAINING, RULES_WITH_GRADIENTS
from rigsa.paths import REWIND
from rigsa.steps.spec import Spec
from rigsa.steps.step import (
    BASE_MODEL,
    MACHINE,
    SPEC,
    TRAINING_MACHINE,
    Step,
    argument,
    machine_of,
    output,
    read_spec,
)
from rigsa.steps.tuned import REWOUND, TUNING, tuned
from rigsa.validation import one_of


def _select_mask(options: Namespace) -> None:
    with importing():
        import torch

        from rigsa import inputs
        from rigsa.masks.job import select_mask
        from rigsa.models.shapes import adapted_shapes
        from rigsa.provenance import recorded

    spec = read_spec(options.spec)
    _check_rule(spec["rule"], spec["scope"], options)
    chosen = spec
    if "warmup" in spec:
        chosen = Spec({**spec, "warmup": tuned(spec["warmup"], options.tuning)})

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
)
