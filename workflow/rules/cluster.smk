# What jobs ask of a cluster's scheduler. On one machine `--resources mem_mb=N` bounds what runs side by side.
import re
import sys
from functools import cache

from rigsa.forecast.requests import Requests, check_card
from rigsa.forecast.shape import study_shape
from rigsa.slurm import Asked, Slurm, check_asked

REQUESTS = Requests(STUDY, PATHS, config, DEVICE)
# Masks of a model of this many weights are chosen in seconds, less than a scheduler takes to start a job.
SMALL_MODEL = study_shape(STUDY, PATHS).weights < 10**8


def on_cluster():
    """Whether this process submits jobs; those that run on a node have been given what they asked."""
    return workflow.is_main_process and not workflow.local_exec


@cache
def slurm():
    """What the cluster allows; None where jobs are not submitted to Slurm."""
    return (
        Slurm.here()
        if on_cluster() and workflow.executor_plugin.name == "slurm"
        else None
    )


def in_profile(name_of_rule, name):
    """A resource that the profile gives to a rule, as it stands there; None where it does not."""
    given = workflow.get_rule(name_of_rule).resources.get(name)
    return None if given is None else given.raw


# What stood in the way of asking Slurm; said by check_cluster, as Snakemake would wrap it in its own words.
TROUBLE = []


def request(kind, ask, part):
    """A resource of a rule's jobs: what `ask` says, within this `part` of the rule's partition."""

    def resource(wildcards, attempt):
        job, partition = job_of(kind, wildcards), None
        try:
            if slurm() is not None:
                name = in_profile(job.rule, "slurm_partition")
                partition = slurm().partitions.get(name)
        except RigsaError as error:
            TROUBLE.append(error)
        return ask(job, attempt, partition and getattr(partition, part))

    return resource


def minutes_of(kind):
    """The `runtime` of a rule's jobs."""
    return request(kind, REQUESTS.minutes, "minutes")


def megabytes_of(kind):
    """The `mem_mb` of a rule's jobs."""
    return request(kind, REQUESTS.megabytes, "megabytes")


def check_cluster(jobs):
    """Refuses a run of which the cluster could not start or end a job; before anything is submitted."""
    try:
        if TROUBLE:
            raise TROUBLE[0]
        if slurm() is None:
            return
        check_card(config, DEVICE)
        check_asked(slurm(), [asked_by(job) for job in jobs if not job.is_local])
        # The executor takes `sacct` wherever there is such a command, and would wait for ever for one that fails.
        if not slurm().accounting:
            workflow.executor_settings.status_command = slurm().status_command
    except RigsaError as error:
        sys.exit(f"Error: {error}")


def asked_by(job):
    get = job.resources.get
    return Asked(
        job=" ".join([job.rule.name, *job.wildcards]),
        kind=job.rule.name,
        partition=get("slurm_partition"),
        account=get("slurm_account"),
        minutes=get("runtime", 0),
        needed_minutes=REQUESTS.needed_minutes(job_of(job.rule.name, job.wildcards)),
        megabytes=get("mem_mb", 0),
        cores=job.threads,
        gpus=get("gpu", 0),
    )


def name_silent(logs_of_run):
    """After a failure: jobs of which Slurm itself could write no log."""
    said = "".join(Path(file).read_text() for file in logs_of_run)
    failed = re.findall(r"SLURM-job '(\d+)' failed", said)
    folder = Path(workflow.executor_settings.logdir or ".snakemake/slurm_logs")
    silent = [number for number in failed if not any(folder.rglob(f"{number}.log"))]
    if silent:
        print(
            f"{len(silent)} jobs ended without a word (Slurm's number of the first: {silent[0]}): a node that does "
            f"not see {Path.cwd()} leaves no log; start the run in a folder that all nodes share.",
            file=sys.stderr,
        )
