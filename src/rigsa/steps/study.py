"""Steps about a study as a whole."""

from argparse import Namespace
from pathlib import Path

from rigsa.errors import ConfigError
from rigsa.steps.step import Step, argument

STUDY = argument("--study", required=True, metavar="NAME", help="a file in studies/, without .yaml")
CONFIG = Path("config.yaml")
JOBS = ("task-data", "base-model", "select-mask", "train", "evaluate")


def _spec(options: Namespace) -> None:
    from rigsa.definitions import Definitions
    from rigsa.jobs import Job
    from rigsa.study import load_study
    from rigsa.validation import read_yaml

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
    config = read_yaml(CONFIG)
    if options.precision is not None:
        config["precision"] = options.precision
    place = (options.arm, options.seed, options.imp_step) if "arm" in wanted else ()
    names = {"task-data": options.task, "base-model": study.base_model}
    names["evaluate"] = options.benchmark
    job = Job(options.job.replace("-", "_"), *place, name=names.get(options.job, ""))
    print(Definitions(study, config).text(job))


STEPS = (
    Step(
        "spec",
        "Print the SPEC of a job.",
        "What a job's result is made from, as one line of JSON: its slice of the study, the\n"
        "fingerprint of its code, and the definitions of its inputs.",
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
                help="IMP step, for select-mask, train, evaluate; default: 0",
            ),
            argument(
                "--precision",
                choices=["float32", "bfloat16"],
                help="default: that of config.yaml",
            ),
        ),
        _spec,
    ),
)
