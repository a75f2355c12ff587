"""Fifty kills at random moments: not one byte differs from a quiet run."""

import json
import subprocess
import sys

from tests.conftest import ROOT


def test_a_killed_study_is_the_quiet_one_to_the_byte() -> None:
    # A process of its own: it forks, which threads of other tests would not survive.
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kills", "--kills", "50"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tally = json.loads(done.stdout)
    assert tally["differing"] == []
    assert tally["files_compared"] > 60
    assert sum(tally["kills"].values()) >= 50
    assert tally["steps_kept"] > 0
    # Asked to stop, a job says so by its exit code; before it listens, the signal itself ends it.
    assert set(tally["asked"]) <= {"130", "143", "-2", "-15"}
