"""Nothing is left of a test that fails."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.slurm.runs import Run


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """A test that fails leaves no run behind, and no jobs.

    Only where it has begun a run, which is in a Slurm of its own: elsewhere jobs are somebody's.
    """
    yield
    if not Run.begun:
        return
    for run in Run.begun:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
    Run.begun.clear()
    subprocess.run(["scancel", "--user", str(os.getuid())], check=False)
