"""A disk so small that it is soon full."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation.conftest import data_files, tiny_folder  # noqa: F401 (fixtures)
from tests.training.conftest import small_study  # noqa: F401 (a fixture)


class SmallDisk:
    """A tmpfs; its size can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def mount(self, size: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs"]
        return subprocess.run([*command, str(self.folder)], capture_output=True, check=False)

    def resize(self, size: str) -> None:
        assert self.mount(size, "remount").returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk")
    try:
        mounted = disk.mount("64k").returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small disk needs Linux and the rights of root")
    yield disk
    subprocess.run(["umount", str(disk.folder)], check=True)
