"""What a harness found: kills, what they did not cost, and what differs from a quiet run."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.compare import differing, files
from tests.workflow.conftest import Project


@dataclass
class Tally:
    """Counts of one run of a harness.

    Attributes:
        kills: signals that came in time, by name or by what they ended.
        asked: exit codes of jobs that SIGTERM or SIGINT ended.
        steps_kept: training steps that were not done again, over all kills.
        answers_kept: the same of answers in evaluations.
        longest_goodbye: seconds until a run that was asked to stop had ended.
    """

    jobs: int = 0
    kills: Counter = field(default_factory=Counter)
    asked: Counter = field(default_factory=Counter)
    steps_kept: int = 0
    answers_kept: int = 0
    longest_goodbye: float = 0.0
    files_compared: int = 0
    differing: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, log: str, quiet: Project, killed: Project) -> None:
        """Reads what was kept from a log, and compares the results of both projects."""
        self.steps_kept = sum(map(int, re.findall(r"going on after step (\d+)", log)))
        self.answers_kept = sum(map(int, re.findall(r"(\d+) of \d+ answers were kept", log)))
        results = [project.folder / "results" for project in (quiet, killed)]
        self.files_compared = len(files(results[0]))
        self.differing = differing(*results)


def two_projects(folder: Path) -> tuple[Project, Project]:
    """One to be left alone and one to be killed, below `folder`."""
    made = []
    for name in ("quiet", "killed"):
        (folder / name).mkdir(parents=True)
        made.append(Project(folder / name))
    return made[0], made[1]
