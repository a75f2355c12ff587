"""A throw-away Slurm of one node, this machine, for trying the cluster profile for real.

    python -m tests.slurm.one_node [--accounting] -- COMMAND ...

starts it, runs the command in it, and stops it. Needs root, and Debian's packages slurmctld,
slurmd, slurm-client and munge; with accounting slurmdbd and mariadb-server as well. The node has
two pretend GPUs, a partition `main`, and a partition `urgent` that preempts it.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

GPUS = 2
# Programs by what they are needed for.
ALWAYS = ("slurmctld", "slurmd", "sbatch", "munged")
ACCOUNTING = ("slurmdbd", "mariadbd")
# Where Slurm looks by itself. Jobs of the executor plugin run without SLURM_CONF.
SYSTEM = Path("/etc/slurm")
CONF = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
MpiDefault=none
ReturnToService=2
# Cgroups are often not for us in a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# Jobs start and end without waiting for the next round.
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
GresTypes=gpu
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/slurmd
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# More cores than there are: the tests wait more than they compute.
SlurmdParameters=config_overrides
MailProg=/bin/true
MinJobAge={min_job_age}
JobRequeue=1
KillWait=20
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{accounting}
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=02:00:00 PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes={host} MaxTime=02:00:00 PriorityTier=10 PreemptMode=OFF
"""
# Without a daemon of its own, sacct is there and fails.
WITHOUT = "AccountingStorageType=accounting_storage/none"
WITH = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5"""
DATABASE = """\
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=3307
StorageUser=slurm
StoragePass=one
StorageLoc=slurm_acct_db
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""
SQL = """\
create database if not exists slurm_acct_db;
create user if not exists 'slurm'@'127.0.0.1' identified by 'one';
create user if not exists 'slurm'@'localhost' identified by 'one';
grant all on slurm_acct_db.* to 'slurm'@'127.0.0.1';
grant all on slurm_acct_db.* to 'slurm'@'localhost';
"""


def missing(accounting: bool = False) -> str | None:
    """Why it cannot be started here, or None."""
    programs = (*ALWAYS, *ACCOUNTING * accounting)
    absent = [name for name in programs if _program(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    if (SYSTEM / "slurm.conf").exists() or {"SLURM_CONF", "SLURM_JOB_ID"} & set(os.environ):
        return "this machine has a Slurm already"
    return None


class OneNode:
    """The running Slurm, as a context.

    Args:
        accounting: with slurmdbd, so that `sacct` works.
        min_job_age: seconds until a job that has ended is forgotten.
    """

    def __init__(self, accounting: bool = False, min_job_age: int = 3600) -> None:
        self.accounting, self.min_job_age = accounting, min_job_age
        self.host = socket.gethostname().split(".")[0]
        self._links: list[Path] = []

    def __enter__(self) -> "OneNode":
        # Not pytest's folder, which the database's user may not enter; and short, for its socket.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for name in ("slurmd", "slurmctld", "slurmdbd", "mariadbd"):
            _stop(self.folder / f"{name}.pid")
        _stop(Path("/run/munge/munged.pid"))
        # Without cgroups Slurm loses sight of what a killed job's script has started.
        _kill_jobs()
        for link in self._links:
            link.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> str:
        """Standard output of one of Slurm's commands."""
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def jobs(self, *states: str) -> list[str]:
        """Numbers of the jobs that are in one of these states (squeue's words)."""
        wanted = ",".join(states) if states else "PENDING,RUNNING,COMPLETING,SUSPENDED"
        return self.run("squeue", "-h", "-o", "%i", "-t", wanted).split()

    def state(self) -> str:
        return self.run("sinfo", "-h", "-p", "main", "-o", "%t").strip()

    def start_node(self, without: Path | None = None) -> None:
        """Starts slurmd, again if it runs; `without` is a folder that it then does not see."""
        _stop(self.folder / "slurmd.pid")
        command = [_program("slurmd")]
        if without is not None:
            # A mount of its own over the folder, as on a node where the real one is missing.
            hidden = f'mount -t tmpfs none "$1" && exec "{command[0]}"'
            command = ["unshare", "--mount", "sh", "-c", hidden, "sh", str(without)]
        subprocess.run(command, check=True)
        # It may be back already, which Slurm then calls an error.
        back = ("scontrol", "update", f"NodeName={self.host}", "State=RESUME")
        _until(
            lambda: _succeeds(*back) or self.state() in ("idle", "mix", "alloc"),
            "the node to come up",
        )

    def lose_node(self) -> None:
        """As when its power fails: nothing of it answers, and nothing of its jobs goes on."""
        _stop(self.folder / "slurmd.pid", signal.SIGKILL)
        _kill_jobs()
        self.run("scontrol", "update", f"NodeName={self.host}", "State=DOWN", "Reason=lost")

    def _start(self) -> None:
        for name in ("ctld", "slurmd", "dev", "mysql"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        _munge()
        for index in range(GPUS):
            device = self.folder / "dev" / f"gpu{index}"
            if not device.exists():
                # slurmd takes no GPU that has no device file; /dev/null's twin will do.
                os.mknod(device, 0o600 | 0o020000, os.makedev(1, 3))
        (self.folder / "gres.conf").write_text(
            f"NodeName={self.host} Name=gpu File={self.folder}/dev/gpu[0-{GPUS - 1}]\n"
        )
        SYSTEM.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            (SYSTEM / name).symlink_to(self.folder / name)
            self._links.append(SYSTEM / name)
        if self.accounting:
            self._start_database()
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10 // 2**20
        self._configure(
            accounting=WITH if self.accounting else WITHOUT,
            host=self.host,
            folder=self.folder,
            memory=memory,
            gpus=GPUS,
            min_job_age=self.min_job_age,
        )
        subprocess.run([_program("slurmctld")], check=True)
        self.start_node()

    def _configure(self, **values: object) -> None:
        (self.folder / "slurm.conf").write_text(CONF.format(**values))

    def _start_database(self) -> None:
        data, socket_file = self.folder / "mysql", self.folder / "sql"
        shutil.chown(data, "mysql", "mysql")
        os.chmod(self.folder, 0o755)
        as_mysql = ["--no-defaults", f"--datadir={data}", "--user=mysql"]
        subprocess.run(
            ["mariadb-install-db", *as_mysql, "--skip-test-db"], check=True, capture_output=True
        )
        with open(self.folder / "mariadbd.log", "wb") as log:
            server = subprocess.Popen(
                [
                    _program("mariadbd"),
                    *as_mysql,
                    f"--socket={data}/sock",
                    "--bind-address=127.0.0.1",
                    "--port=3307",
                    "--innodb-buffer-pool-size=256M",
                    "--innodb-lock-wait-timeout=900",
                ],
                stdout=log,
                stderr=log,
            )
        (self.folder / "mariadbd.pid").write_text(str(server.pid))
        socket_file = data / "sock"
        _until(socket_file.exists, "MariaDB")
        subprocess.run(
            ["mariadb", "--no-defaults", "-S", str(socket_file)], input=SQL, text=True, check=True
        )
        conf = self.folder / "slurmdbd.conf"
        conf.write_text(DATABASE.format(folder=self.folder))
        conf.chmod(0o600)
        (SYSTEM / conf.name).symlink_to(conf)
        self._links.append(SYSTEM / conf.name)
        # sacctmgr wants a slurm.conf that names slurmdbd before there can be a whole one.
        (self.folder / "slurm.conf").write_text(
            f"ClusterName=one\nSlurmctldHost={self.host}(127.0.0.1)\nAuthType=auth/munge\n"
            f"MpiDefault=none\n{WITH.splitlines()[0]}\nAccountingStorageHost=127.0.0.1\n"
        )
        subprocess.run([_program("slurmdbd")], check=True)
        _until(lambda: _succeeds("sacctmgr", "-n", "list", "cluster"), "slurmdbd")
        for what in (
            ("cluster", "one"),
            ("account", "lab", "Cluster=one"),
            ("user", "root", "Account=lab", "Cluster=one"),
        ):
            self.run("sacctmgr", "-i", "add", *what)


def _munge() -> None:
    run = Path("/run/munge")
    run.mkdir(exist_ok=True)
    shutil.chown(run, "munge", "munge")
    # munged refuses to run as root.
    as_munge = ["runuser", "-u", "munge", "--"]
    if not Path("/etc/munge/munge.key").exists():
        subprocess.run([*as_munge, "mungekey", "--create"], check=True)
    if not (run / "munge.socket.2").exists():
        subprocess.run([*as_munge, _program("munged")], check=True)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _until(holds, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} seconds for {what}")
        time.sleep(0.2)


def _kill_jobs() -> None:
    """Every process of a job, and those that watch over them."""
    subprocess.run(["pkill", "--signal", "KILL", "slurmstepd"], check=False)
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # slurmd's own word, which nobody pretends.
            if b"SLURMD_NODENAME=" in (place / "environ").read_bytes():
                os.kill(int(place.name), signal.SIGKILL)


def _stop(pid_file: Path, number: signal.Signals = signal.SIGTERM) -> None:
    """Ends the process of a pid file, and waits until it is gone."""
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, number)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # The database is a child.
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    pid_file.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounting", action="store_true", help="with slurmdbd")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Nothing is left running.
    reason = missing(options.accounting)
    if reason:
        print(f"No Slurm here: {reason}.", file=sys.stderr)
        return 1
    with OneNode(options.accounting):
        return subprocess.run(options.command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
