"""Nothing is left of a test that fails."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.slurm.one_node import missing
from tests.slurm.runs import Run


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """A test that fails leaves no run behind, and no jobs."""
    yield
    for run in Run.begun:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
    Run.begun.clear()
    if missing() is not None and shutil.which("scancel"):
        subprocess.run(["scancel", "--user", str(os.getuid())], check=False)
