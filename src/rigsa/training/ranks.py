"""The processes of a training on several cards: rank 0, which is the job, and those it starts.

Not by `accelerate launch`, whose launcher stands above equal ranks: here the process that
Snakemake starts, signals and logs is rank 0 itself, as on one card. It alone holds the cards and
the lock of the unfinished folder, is asked to stop, writes and says; the others live as long as it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rigsa.errors import RigsaError
from rigsa.resume.interrupt import SIGNALS

FOLDER, PARENT = "RIGSA_RANKS_FOLDER", "RIGSA_RANKS_PARENT"
LINUX = sys.platform == "linux"
LOOPBACK = "lo" if LINUX else "lo0"
ON_ONE_MACHINE = {
    "GLOO_SOCKET_IFNAME": LOOPBACK,
    "NCCL_SOCKET_IFNAME": LOOPBACK,
    "NCCL_IB_DISABLE": "1",
}
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.5
# Where rank 0 waits for a rank on the CPU, it notices itself that this has ended; on a card, never.
GRACE_SECONDS = 15.0


class Ranks:
    """A training's processes as this one sees them; a training on one card has but this one.

    Attributes:
        rank, size: this one's number, and how many there are.
        folder: where they find each other.
    """

    def __init__(self, rank: int = 0, size: int = 1, folder: Path | None = None) -> None:
        self.rank, self.size, self.folder = rank, size, folder

    def lost(self) -> str | None:
        """What became of a rank that failed; None where none did."""
        return None


ALONE = Ranks()


def follows() -> bool:
    """Whether this process is a rank that another one has started."""
    return FOLDER in os.environ


def stay_with_parent() -> None:
    """Ends this process when rank 0 ends, in whatever way: it has nothing to save."""
    if LINUX:
        # By the kernel, even where this process hangs in a library.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextmanager
def started(
    name: str, size: int, threads: int, command: Sequence[str], held: Sequence[int] = ()
) -> Iterator[Ranks]:
    """All ranks of a training, within the block.

    Args:
        name: of the training, in sentences.
        threads: of all ranks together.
        command: arguments of `rigsa` that this process was started with, and the others will be.
        held: open files that hold the job's cards, which are taken as long as any rank lives.

    A rank that fails ends all others, with one sentence: RigsaError where rank 0 can raise it.
    """
    if size == 1:
        yield ALONE
    elif follows():
        yield Ranks(int(os.environ["RANK"]), size, Path(os.environ[FOLDER]))
    else:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.enter_context(_environment(_place(0, size, threads)))
            yield stack.enter_context(_Leader(name, size, threads, folder, command, held))


class _Leader(Ranks):
    def __init__(
        self,
        name: str,
        size: int,
        threads: int,
        folder: Path,
        command: Sequence[str],
        held: Sequence[int],
    ) -> None:
        super().__init__(0, size, folder)
        self.name, self.over, self.noticed = name, threading.Event(), False
        own = {FOLDER: str(folder), PARENT: str(os.getpid())}
        # A stop is rank 0's to answer: the others inherit signals that are blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.others = [
                _start(command, _place(rank, size, threads) | own, self._log(rank), held)
                for rank in range(1, size)
            ]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        said = self.lost() if kind and issubclass(kind, RuntimeError) else None
        self.over.set()
        for process in self.others:
            if kind is None:
                _wait(process)
            process.kill()
            process.wait()
        if said:
            raise RigsaError(f"{self.name}: {said}; run the same command again.") from None

    def lost(self) -> str | None:
        """Waits a little: a connection may break before its rank is known to be dead."""
        end = time.monotonic() + GRACE_SECONDS / 2
        while not (said := self._failed()) and time.monotonic() < end:
            time.sleep(POLL_SECONDS / 10)
        self.noticed = bool(said)
        return said

    def _failed(self) -> str | None:
        for rank, process in enumerate(self.others, start=1):
            code = process.poll()
            if code:
                why = f"killed by {signal.Signals(-code).name}" if code < 0 else self._last(rank)
                return f"rank {rank} of {self.size} has failed ({why})"
        return None

    def _watch(self) -> None:
        """Ends this process where a rank has failed and this one still waits for it."""
        while not self.over.wait(POLL_SECONDS):
            said = self._failed()
            if said and not self.over.wait(GRACE_SECONDS) and not self.noticed:
                # As cli.py says it: the main thread may wait where no exception reaches it.
                sentence = f"rigsa train: {self.name}: {said}; run the same command again."
                print(sentence, file=sys.stderr, flush=True)
                os._exit(1)

    def _log(self, rank: int) -> Path:
        return self.folder / f"rank{rank}.log"

    def _last(self, rank: int) -> str:
        """What a rank has said last."""
        lines = self._log(rank).read_text(errors="replace").strip().splitlines()
        return lines[-1].rstrip(".") if lines else "without a word"


def _place(rank: int, size: int, threads: int) -> dict[str, str]:
    """The variables by which accelerate, torch and their libraries know a rank."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "OMP_NUM_THREADS": str(max(1, threads // size)),
        # All ranks are on this machine; nobody outside of it is to be talked to.
        **{key: os.environ.get(key, value) for key, value in ON_ONE_MACHINE.items()},
    }


def _start(
    command: Sequence[str], own: Mapping[str, str], log: Path, held: Sequence[int]
) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "rigsa.cli", *command],
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            pass_fds=held,
        )


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _end_with_parent() -> None:
    while os.getppid() == int(os.environ[PARENT]):
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _environment(own: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
