"""A step of the command line in a forked process, which has everything imported already."""

import gc
import importlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from rigsa.quiet import quiet

# What the steps import when they run; a fork has it for nothing.
IMPORTED = (
    "lm_eval.evaluator",
    "pandas",
    "peft",
    "rigsa.analysis.collect",
    "rigsa.evaluation.evaluate",
    "rigsa.evaluation.job",
    "rigsa.evaluation.language_model",
    "rigsa.masks.job",
    "rigsa.models.job",
    "rigsa.training.job",
)


def import_all() -> None:
    quiet()
    for module in IMPORTED:
        importlib.import_module(module)
    # No fork's collector looks through it, as accelerate has it do after every training.
    gc.freeze()


def forked(arguments: list[str], folder: Path, log: Path) -> int:
    """Starts `rigsa` with these arguments in a folder; returns the process."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    # A signal ends it even before it listens, without Python's traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        from rigsa.cli import main

        code = main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int) -> int:
    """Its exit code; minus the signal where one ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(pid: int, after: float, number: int) -> tuple[int, bool]:
    """Sends a signal after so many seconds; returns the exit code and whether it was in time."""
    end = time.monotonic() + after
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), False
        time.sleep(0.002)
    os.kill(pid, number)
    return wait(pid), True
