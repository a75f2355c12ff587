"""What a run's jobs cannot compute on is said before the first of them begins."""

from pathlib import Path

import pytest

from rigsa.errors import RigsaError
from rigsa.gpu_check import check_gpus
from tests.conftest import ROOT
from tests.nvidia_smi import MIXED, listing, pretend, uuids
from tests.workflow.conftest import Project

# A torch that sees what CUDA_VISIBLE_DEVICES names, of which a T4 is too old for bfloat16.
TORCH = """\
import os
from types import SimpleNamespace
card = os.environ.get("CUDA_VISIBLE_DEVICES", "")
cuda = SimpleNamespace(
    is_available=lambda: bool(card),
    is_bf16_supported=lambda including_emulation: not card.startswith("GPU-1111"),
    get_device_name=lambda: "Tesla T4",
    device_count=lambda: 0,
    get_device_properties=None,
)
"""


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes up what nvidia-smi lists, and a torch that agrees."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/torch.py").write_text(TORCH)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/torch:{ROOT}/src")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return lambda listed: pretend(tmp_path / "bin", listed)


def test_enough_gpus_are_nothing_to_say(gpus) -> None:
    gpus(listing(uuids(2)))
    assert check_gpus("bfloat16", [1, 1, 1], at_once=2) is None
    assert check_gpus("bfloat16", [1], at_once=8) is None


def test_jobs_that_wait_for_one_another_are_said(gpus) -> None:
    gpus(listing(uuids(2)))
    assert check_gpus("bfloat16", [1] * 9, at_once=4) == (
        "Jobs for 4 GPUs may run at once, and 2 are visible here, so that some wait for others; "
        "--resources gpu=2 begins no more than fit."
    )


def test_a_job_for_more_gpus_than_there_are_is_refused(gpus) -> None:
    gpus(listing(uuids(2)))
    with pytest.raises(RigsaError, match="a job needs 3 GPUs, but 2 are visible here"):
        check_gpus("bfloat16", [1, 3], at_once=4)


def test_no_gpu_is_said(gpus) -> None:
    with pytest.raises(RigsaError, match="device is cuda, but torch sees no GPU here"):
        check_gpus("float32", [1], at_once=1)


def test_each_kind_of_gpu_is_asked_for_the_precision(gpus) -> None:
    gpus(MIXED)
    check_gpus("float32", [1], at_once=1)
    with pytest.raises(RigsaError, match="bfloat16, which Tesla T4 cannot compute in; set prec"):
        check_gpus("bfloat16", [1], at_once=1)


def test_a_run_is_refused_before_its_first_job(gpus, tmp_path: Path) -> None:
    gpus(listing(uuids(2)))
    project = Project(tmp_path / "project")
    asked = ("--cores", "4", "--resources", "gpu=4", "--config", "device=cuda")
    done = project.snakemake(*asked, "--set-resources", "train:gpu=3")
    assert done.returncode == 1
    assert "Error: a job needs 3 GPUs, but 2 are visible here; let it have fewer" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.folder / "results").exists()
