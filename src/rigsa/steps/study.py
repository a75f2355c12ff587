"""Steps about a study as a whole."""

from argparse import Namespace

from rigsa.errors import ConfigError
from rigsa.steps.step import PRECISION, Step, argument

STUDY = argument("--study", required=True, metavar="NAME", help="a file in studies/, without .yaml")
JOBS = ("task-data", "base-model", "select-mask", "train", "evaluate")


def _spec(options: Namespace) -> None:
    from rigsa import specs
    from rigsa.study import load_study

    study = load_study(options.study)
    wanted = {
        "task-data": ("task",),
        "base-model": (),
        "select-mask": ("arm",),
        "train": ("arm",),
        "evaluate": ("arm", "benchmark"),
    }[options.job]
    known = {"task": study.task_entries, "arm": study.arms, "benchmark": study.benchmarks}
    for name in wanted:
        value = getattr(options, name)
        if value not in known[name]:
            raise ConfigError(
                f"--{name} is {value!r}; study {study.name} has: {', '.join(known[name])}."
            )
    make = {
        "task-data": lambda: specs.task_spec(study, options.task),
        "base-model": lambda: specs.base_model_spec(study),
        "select-mask": lambda: specs.mask_spec(
            study, options.arm, options.seed, options.imp_step, options.precision
        ),
        "train": lambda: specs.training_spec(study, options.arm, options.seed, options.precision),
        "evaluate": lambda: specs.evaluation_spec(
            study, options.arm, study.benchmarks[options.benchmark], options.precision
        ),
    }
    print(specs.canonical(make[options.job]()))


STEPS = (
    Step(
        "spec",
        "Print the SPEC of a job.",
        "The slice of the study that a job is made from, as one line of JSON.",
        (
            argument("job", choices=JOBS, help="which step's"),
            STUDY,
            argument("--task", metavar="NAME", help="for task-data"),
            argument("--arm", metavar="NAME", help="for select-mask, train, evaluate"),
            argument("--benchmark", metavar="NAME", help="for evaluate"),
            argument("--seed", type=int, default=0, metavar="N", help="default: 0"),
            argument(
                "--step",
                dest="imp_step",
                type=int,
                default=0,
                metavar="N",
                help="IMP step, for select-mask; default: 0",
            ),
            PRECISION,
        ),
        _spec,
    ),
)
