"""Snakemake looks at what is ready when a job has ended, and not in between."""

import shutil
from pathlib import Path

from tests.workflow.conftest import Project


def test_ready_jobs_are_looked_at_once_for_each_job(finished: Project, tmp_path: Path) -> None:
    copy = Project(tmp_path / "project")
    shutil.copytree(finished.folder, copy.folder, symlinks=True, dirs_exist_ok=True)
    wanted = [f"results/embedded/tables/table{number}.csv" for number in (1, 2, 3)]
    wanted += [f"results/embedded/figures/figure{number}.pdf" for number in (2, 3, 4)]
    done = copy.snakemake("--cores", "1", "--verbose", "--force", *wanted)
    assert done.returncode == 0, done.stderr
    looks = (done.stdout + done.stderr).count("Ready jobs: ")
    assert len(wanted) <= looks <= len(wanted) + 1
