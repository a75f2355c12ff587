"""What a Slurm cluster allows, and whether a study's jobs fit into it, before any is submitted."""

import getpass
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from rigsa.errors import ConfigError
from rigsa.validation import one_of

PROFILE = "profiles/slurm/profile.yaml"
# What stands in the profile for what only its user knows.
UNSET = "SET_ME"
COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
# The executor looks at a job after at most so many seconds (its longest pause between two looks).
LONGEST_PAUSE = 180


@dataclass(frozen=True)
class Partition:
    """What one job can get in a partition.

    Args:
        minutes: its time limit; None for no limit.
        megabytes, cores, gpus: of its largest node, each by itself.
    """

    minutes: int | None
    megabytes: int
    cores: int
    gpus: int


@dataclass(frozen=True)
class Slurm:
    """Args:
    accounts: that the user may charge; empty where the cluster does not say.
    accounting: whether `sacct` can tell how a job ended.
    remembered: seconds that `squeue` knows a job after its end.
    """

    partitions: Mapping[str, Partition]
    accounts: frozenset[str]
    accounting: bool
    remembered: int

    @classmethod
    def here(cls) -> "Slurm":
        """Asks the cluster. Raises ConfigError where there is none."""
        absent = [command for command in COMMANDS if shutil.which(command) is None]
        if absent:
            raise ConfigError(
                f"{', '.join(absent)} not found: this machine knows no Slurm; start the run on the "
                "cluster's login node, or leave the slurm profile out to run here."
            )
        settings = _settings(_answer("scontrol", "show", "config"))
        accounting = settings.get("AccountingStorageType", "").endswith("slurmdbd")
        accounts = ()
        if accounting and shutil.which("sacctmgr"):
            user = f"user={getpass.getuser()}"
            accounts = _answer("sacctmgr", "-nP", "show", "assoc", user, "format=account").split()
        return cls(
            _partitions(_answer("sinfo", "-he", "-o", "%R|%l|%m|%c|%G")),
            frozenset(accounts),
            accounting,
            int(re.match(r"\d+", settings.get("MinJobAge", "300"))[0]),
        )

    @property
    def status_command(self) -> str:
        """What tells how a job ended. Raises ConfigError where nothing does reliably."""
        if self.accounting:
            return "sacct"
        if self.remembered < LONGEST_PAUSE:
            raise ConfigError(
                f"this Slurm keeps no accounts and forgets a job {self.remembered} seconds after "
                f"its end, so that a run could miss it; ask for MinJobAge={2 * LONGEST_PAUSE} in "
                "slurm.conf, or for accounting (slurmdbd)."
            )
        return "squeue"


@dataclass(frozen=True)
class Asked:
    """What one job of the rule `kind` asks for; `needed_minutes` is the bare forecast."""

    job: str
    kind: str
    partition: str | None
    account: str | None
    minutes: int
    needed_minutes: float
    megabytes: int
    cores: int
    gpus: int


def check_asked(slurm: Slurm, asked: Iterable[Asked]) -> None:
    """Raises ConfigError for the first job that could not start or not end."""
    for job in asked:
        _check_names(slurm, job)
        partition = slurm.partitions[job.partition]
        where = f"partition {job.partition}"
        other = f"set slurm_partition in {PROFILE} to another"
        if job.gpus > partition.gpus:
            has = f"has {partition.gpus} on a node" if partition.gpus else "has none"
            raise ConfigError(f"{job.job} needs {job.gpus} GPU, and {where} {has}; {other}.")
        if job.cores > partition.cores:
            raise ConfigError(
                f"{job.job} asks for {job.cores} cores, and a node of {where} has "
                f"{partition.cores}; lower threads in config.yaml, or {other}."
            )
        if job.megabytes > partition.megabytes:
            raise ConfigError(
                f"{job.job} needs {job.megabytes} MB of memory, and a node of {where} has "
                f"{partition.megabytes}; {other}."
            )
        if partition.minutes is not None and job.minutes > partition.minutes:
            needs = f"needs about {ceil(job.needed_minutes)} minutes by its forecast"
            raise ConfigError(
                f"{job.job} {needs}, and {where} allows {partition.minutes}; {other}, or have it "
                f"trained in parts, which go on from each other: in {PROFILE}, set-resources: "
                f"{job.kind}: {{runtime: {partition.minutes}}} and enough retries."
            )


def _check_names(slurm: Slurm, job: Asked) -> None:
    if job.partition in (None, "", UNSET):
        raise ConfigError(
            f"{PROFILE}: slurm_partition is not set; set it to one of "
            f"{', '.join(slurm.partitions)} (`sinfo` says what they allow)."
        )
    if job.partition not in slurm.partitions:
        known = one_of(job.partition, slurm.partitions)
        raise ConfigError(f"{PROFILE}: slurm_partition is {job.partition!r}; {known}")
    if job.account == UNSET or (slurm.accounts and not job.account):
        ways = f"one of {', '.join(sorted(slurm.accounts))}" if slurm.accounts else "yours"
        raise ConfigError(
            f"{PROFILE}: slurm_account is not set; set it to {ways}, or delete the line where the "
            "cluster keeps no accounts."
        )
    if slurm.accounts and job.account not in slurm.accounts:
        known = one_of(job.account, sorted(slurm.accounts))
        raise ConfigError(f"{PROFILE}: slurm_account is {job.account!r}; {known}")


def _answer(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        trouble = done.stderr.strip().splitlines()[-1:] if done.returncode else None
    except subprocess.TimeoutExpired:
        trouble = ["no answer in a minute"]
    if trouble is None:
        return done.stdout
    said = ": ".join([" ".join(command), *trouble])
    raise ConfigError(f"Slurm does not answer ({said}); try again when `sinfo` shows the cluster.")


def _settings(text: str) -> dict[str, str]:
    """Key and value of each line of `scontrol show config`."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _partitions(text: str) -> dict[str, Partition]:
    """From lines of name|time limit|megabytes|cores|generic resources, one for a kind of node."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, limit, megabytes, cores, generic = line.split("|")
        before = found.get(name, Partition(None, 0, 0, 0))
        found[name] = Partition(
            _minutes(limit),
            max(before.megabytes, int(megabytes.rstrip("+"))),
            max(before.cores, int(cores.rstrip("+"))),
            max(before.gpus, _gpus(generic)),
        )
    return found


def _minutes(limit: str) -> int | None:
    """Of days-hours:minutes:seconds, of which all but minutes and seconds may be missing."""
    if limit == "infinite":
        return None
    days, _, rest = limit.rpartition("-")
    *more, minutes, _ = rest.split(":")
    hours = int(more[0]) if more else 0
    return (int(days or 0) * 24 + hours) * 60 + int(minutes)


def _gpus(generic: str) -> int:
    """All GPUs of a node, such as gpu:2 or gpu:a100:4(S:0-1),gpu:t4:1,shard:8."""
    return sum(int(count) for count in re.findall(r"\bgpu(?::[^:,()]+)?:(\d+)", generic))
