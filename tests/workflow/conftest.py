"""A copy of the project to break and to run."""

import copy
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.fork_server import programs

PARTS = ("Snakefile", "config.yaml", "environment.yml", "studies", "workflow", "profiles")


class Project:
    """A folder with the workflow's files; `studies` and `config` are edited as mappings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for part in PARTS:
            source = ROOT / part
            copier = shutil.copytree if source.is_dir() else shutil.copy
            copier(source, folder / part)

    def edit(self, file: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Applies `change` to the content of a YAML file."""
        path = self.folder / file
        content = copy.deepcopy(yaml.safe_load(path.read_text()))
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def snakemake(
        self, *arguments: str, code: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs this environment's Snakemake in the folder; with the package in `code`, if given."""
        binaries = Path(sys.executable).parent
        path = [str(binaries), os.environ["PATH"]]
        environment = dict(os.environ)
        if code is None:
            path.insert(0, str(programs()))
        else:
            environment["PYTHONPATH"] = str(code)
        environment["PATH"] = os.pathsep.join(path)
        return subprocess.run(
            [str(Path(path[0]) / "snakemake"), *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def started(self, *arguments: str, output: Path | None = None) -> "subprocess.Popen[bytes]":
        """The same in the background, at the head of a process group; appends to `output`."""
        binaries = Path(sys.executable).parent
        with open(output or os.devnull, "ab") as file:
            return subprocess.Popen(
                [str(binaries / "snakemake"), *arguments],
                cwd=self.folder,
                env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def planned(self, *arguments: str, code: Path | None = None) -> dict[str, int]:
        """Jobs by rule that a dry run lists."""
        done = self.snakemake("--dry-run", *arguments, code=code)
        assert done.returncode == 0, done.stderr
        lines = iter((done.stdout + done.stderr).splitlines())
        rows = dropwhile(lambda line: not line.startswith("Job stats"), lines)
        rows = takewhile(str.strip, islice(rows, 3, None))
        jobs = {rule: int(count) for rule, count in map(str.split, rows)}
        return {rule: jobs[rule] for rule in jobs if rule not in ("total", "all")}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The quick study after a run from nothing; whoever changes it puts it back.

    One process of the test run makes it, and each has a copy.
    """
    base = tmp_path_factory.getbasetemp()
    common = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared_study"
    with open(f"{common}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (common / "said").is_file():
            shutil.rmtree(common, ignore_errors=True)
            (common / "said").write_text(_run(Project(_made(common / "project"))))
    project = Project(tmp_path_factory.mktemp("study"))
    shutil.copytree(common / "project", project.folder, symlinks=True, dirs_exist_ok=True)
    project.output = (common / "said").read_text()
    return project


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _tune(study: dict[str, Any]) -> None:
    """One arm chooses its learning rate."""
    study["arms"]["random_mask"]["training"] = {"learning_rate": [1.0e-2, 3.0e-3]}


def _run(project: Project) -> str:
    from tests.workflow.quick import cut_down

    cut_down(project)
    project.edit("studies/embedded.yaml", _tune)
    done = project.snakemake("--cores", "all", "--resources", "gpu=1")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made
