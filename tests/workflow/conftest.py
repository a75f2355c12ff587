"""A copy of the project to break and to run."""

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

PARTS = ("Snakefile", "config.yaml", "environment.yml", "studies", "workflow", "profiles")


class Project:
    """A folder with the workflow's files; `studies` and `config` are edited as mappings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs Snakemake of this environment in the folder."""
        binaries = Path(sys.executable).parent
        return subprocess.run(
            [str(binaries / "snakemake"), *arguments],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made
