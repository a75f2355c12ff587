# Names that the rules share: the study's jobs with their definitions, machine settings as flags.
import re
import sys
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError

from rigsa import specs
from rigsa.bases import model_of
from rigsa.definitions import Definitions
from rigsa.errors import RigsaError
from rigsa.gpu_check import check_gpus
from rigsa.jobs import Job
from rigsa.paths import ResultPaths, record
from rigsa.run_lock import lock_run

PATHS = ResultPaths(Path(config["results"]), STUDY.name)
DEFINITIONS = Definitions(STUDY, config)
GRAPH = DEFINITIONS.graph
DEVICE = resolve_device(config, STUDY)
PRECISION = DEFINITIONS.precision
# A `gpu` resource is a number that Snakemake counts; jobs on the CPU need none.
GPU = int(DEVICE == "cuda")
ANY = PATHS.checkpoint("{arm}", "{seed}", "{step}")
# What the rules run in: documented by this file; jobs use the environment that Snakemake runs in.
ENVIRONMENT = "../../environment.yml"
TARGET_DATA = PATHS.task(STUDY.target_task)
FETCHES = {f"fetch_{source.name}": source for source in SOURCES}
TRIALS = [trial for trials in STUDY.trials.values() for trial in trials]
TRAINED_ARMS = [arm.name for arm in (*STUDY.arms.values(), *TRIALS) if arm.trained]
# How this machine is used.
DEVICE_FLAGS = ["--device", DEVICE]
MODEL_FLAGS = [
    *DEVICE_FLAGS,
    *("--attention", config["attention"]),
    *("--eval-batch-size", config["eval_batch_size"]),
]
TRAINING_FLAGS = [
    *("--micro-batch-size", config["micro_batch_size"]),
    *("--activation-checkpointing", config["activation_checkpointing"]),
    *("--dataloader-workers", config["dataloader_workers"]),
    *["--compile"] * config["compile"],
    *["--shard-base-model"] * config["shard_base_model"],
]
CHECKPOINT_FLAGS = [
    *("--checkpoint-steps", config["checkpoint_steps"]),
    *("--checkpoint-minutes", config["checkpoint_minutes"]),
]


wildcard_constraints:
    arm="|".join(map(re.escape, [*STUDY.arms, *(trial.name for trial in TRIALS)])),
    tuned="|".join(STUDY.trials),
    seed=r"\d+",
    step=r"\d+",
    task="|".join(STUDY.task_entries),
    benchmark="|".join(STUDY.benchmarks),


# A signal is for the step alone, which saves what it has: the shell and `tee` would die of it at once.
shell.prefix("set -euo pipefail; trap '' INT TERM; ")


def look_when_jobs_end():
    """Keeps Snakemake from looking at all ready jobs, and their files, all the time.

    For its limit of 100 jobs a second it looks again a second after every look; with every job that
    ends, one more such chain of looks begins, until they take a core. Another limit is kept.
    """
    limit = workflow.scheduler.job_rate_limiter
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def check_gpus_of(jobs):
    needs = [gpus for job in jobs if (gpus := job.resources.get("gpu"))]
    if not needs:
        return
    at_once = workflow.global_resources.get("gpu").value or workflow.cores
    try:
        line = check_gpus(PRECISION, needs, at_once)
    except RigsaError as error:
        sys.exit(f"Error: {error}")
    if line:
        print(line, file=sys.stderr)


# Open files, which hold the run's locks as long as Snakemake runs.
LOCKS = []


def lock_planned(jobs):
    shared = {"base_model", "task_data", *FETCHES}
    makes_shared = any(job.rule.name in shared for job in jobs)
    try:
        LOCKS.extend(lock_run(PATHS.results, STUDY.name, makes_shared))
    except RigsaError as error:
        sys.exit(f"Error: {error}")


def fetch_first(jobs):
    """Gets what is missing before any other job starts, so that a failure costs no computing.

    It is no input of all other jobs, because one new task would then invalidate every training.
    """
    names = {job.rule.name for job in jobs}
    if names <= {*FETCHES, "fetch", "sources"}:
        return
    for name in FETCHES:
        if name in names:
            spec = DEFINITIONS.text(Job("fetch", name=FETCHES[name].name))
            folder = PATHS.source(FETCHES[name].kind, FETCHES[name].name).parent
            try:
                shell("rigsa fetch {spec:q} --output {folder:q}")
            except CalledProcessError:
                sys.exit(
                    "Error: not all models and data are at hand; nothing was started."
                )


def checkpoint_of(wildcards):
    return PATHS.checkpoint(wildcards.arm, wildcards.seed, wildcards.step)


def gpus_of(wildcards):
    """Cards that share a training."""
    return STUDY.arm(wildcards.arm).gpus


def job_of(kind, wildcards):
    """A rule's job for these wildcards; a rule of one job may be given as that job."""
    if isinstance(kind, Job):
        return kind
    place = [wildcards.get("arm", ""), *(wildcards.get(k, 0) for k in ("seed", "step"))]
    names = (
        wildcards.get(key) for key in ("task", "benchmark", "table", "figure", "tuned")
    )
    name = next((name for name in names if name), "")
    return Job(kind, place[0], int(place[1]), int(place[2]), name)


def spec_of(kind):
    """What a job of this rule is made from, for its `params` and its command."""
    return lambda wildcards: DEFINITIONS.text(job_of(kind, wildcards))


def untracked(value):
    """A parameter that decides no result, such as a place: another value reruns nothing.

    Snakemake compares no parameter whose function looks at the input.
    """
    return lambda wildcards, input: value(wildcards) if callable(value) else value


def unfinished(kind):
    """Where a job of this rule keeps what it has done so far."""

    def folder(wildcards):
        place = (wildcards.arm, f"seed{wildcards.seed}", f"step{wildcards.step}")
        benchmark = [wildcards.benchmark] if "benchmark" in wildcards.keys() else []
        return PATHS.unfinished(kind, *place, *benchmark)

    return untracked(folder)


@cache
def files_of(job):
    """What the job makes, and the record of how it was made; a base model is asked for by all."""
    return [
        str(file) for file in (*GRAPH.outputs(job, PATHS), GRAPH.record(job, PATHS))
    ]


def made_from(kind):
    """The input files of a rule's jobs."""

    def files(wildcards):
        made = job_of(kind, wildcards)
        given = [file for job in GRAPH.inputs(made).values() for file in files_of(job)]
        if FOUND.state(made) is not State.FRESH and (same := DEFINITIONS.known(made)):
            # What comes to the same is waited for, and taken; then the result stands on its own. Its
            # record is last and no link: of links, Snakemake would find input and output equally old.
            given.append(str(GRAPH.record(same, PATHS)))
        return ancient_where_fresh(given, [made])

    return files


def ancient_where_fresh(files, jobs):
    """Inputs of what is as the study says are no reason to make it again by being newer.

    Other inputs are not `ancient`: what follows an ancient file is not looked at any more.
    """
    fresh = all(FOUND.state(job) is State.FRESH for job in jobs)
    return ancient(files) if fresh else files


def base_model(wildcards):
    """Folder of the base model that the arm starts from."""
    return PATHS.base_model(model_of(STUDY, wildcards.arm))


def flags_of(kind, *names):
    """Those inputs of a job that it has as flags; adapters and data are named by their folders."""

    def flags(wildcards):
        jobs = GRAPH.inputs(job_of(kind, wildcards))
        given = [(name, place_of(jobs[name])) for name in names if name in jobs]
        return [
            part
            for name, place in given
            for part in (f"--{name.replace('_', '-')}", str(place))
        ]

    return flags


def place_of(job):
    point = PATHS.checkpoint(job.arm, job.seed, job.step)
    # What a task is fetched into is its folder as well.
    places = {
        "train": point.adapter,
        "select_mask": point.mask,
        "tune": PATHS.tuning(job.name),
    }
    return places.get(job.rule, PATHS.task(job.name))


def replay_flags(wildcards):
    """The source tasks' data that a training mixes in, in the study's order."""
    folders = [place_of(job) for job in GRAPH.replayed(wildcards.arm).values()]
    return ["--replay-data", *map(str, folders)] if folders else []


def known_flags(kind):
    """What may be a job's result already: an earlier arm's, and the trials of its rates."""

    def flags(wildcards):
        job = job_of(kind, wildcards)
        known = [same] if (same := DEFINITIONS.known(job)) else []
        if kind == "train" and job.seed == STUDY.seeds[0]:
            trials = STUDY.trials.get(job.arm, ())
            known += [job._replace(arm=trial.name) for trial in trials]
        points = [PATHS.checkpoint(*other[1:4]) for other in known]
        places = [
            point.folder if kind == "train" else point.evaluation(job.name)
            for point in points
        ]
        return ["--known", *map(str, places)] if places else []

    return flags
