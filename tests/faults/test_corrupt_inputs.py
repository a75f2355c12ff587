"""A truncated or flipped input is named and refused; nothing is computed from it."""

import json
from pathlib import Path

import pytest
import torch

from rigsa.adapters.build import linear_shapes
from rigsa.cli import main
from rigsa.machine import Machine
from rigsa.masks.storage import Mask, save_mask
from rigsa.models.loading import load_base
from rigsa.paths import CheckpointPaths
from rigsa.training.job import train
from tests.evaluation.test_job import SPEC as ASKED
from tests.training.test_job import SPEC


@pytest.fixture
def masked(small_study, tmp_path) -> tuple[Path, CheckpointPaths]:
    """A mask and a checkpoint that was trained with it."""
    shapes = linear_shapes(load_base(small_study[0], Machine()))
    generator = torch.Generator().manual_seed(0)
    mask = Mask({n: torch.rand(s, generator=generator) < 0.2 for n, s in shapes.items()})
    save_mask(mask, tmp_path / "mask.safetensors")
    checkpoint = CheckpointPaths(tmp_path / "arm/seed0/step0")
    spec = {**SPEC, "training": {**SPEC["training"], "epochs": 0.4}}
    train(spec, *small_study, tmp_path / "mask.safetensors", checkpoint, Machine())
    return tmp_path / "mask.safetensors", checkpoint


def _damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content[: len(content) // 2] if how == "truncated" else content)


@pytest.mark.parametrize("how", ["truncated", "flipped"])
@pytest.mark.parametrize("step", ["train", "select-mask", "evaluate", "merge"])
def test_it_is_refused(step, how, masked, small_study, tmp_path, capsys) -> None:
    mask, checkpoint = masked
    base, task = map(str, small_study)
    damaged = mask if step == "train" else checkpoint.adapter / "adapter_model.safetensors"
    _damage(damaged, how)
    output = tmp_path / "output"
    chosen = {
        "adapter": SPEC["adapter"],
        "rule": "large_final",
        "scope": "matrix",
        "keep": None,
        "density": 0.1,
        "seed": 0,
    }
    asked = {**ASKED, "task": "textual_digits", "benchmark": "digits", "limit": 2}
    more = {
        "train": [json.dumps(SPEC), "--task-data", task, "--mask", str(mask)],
        "select-mask": [
            json.dumps(chosen),
            *("--previous-adapter", str(checkpoint.adapter), "--previous-mask", str(mask)),
        ],
        "evaluate": [json.dumps(asked), "--task-data", task, "--adapter", str(checkpoint.adapter)],
        "merge": ["--checkpoint", str(checkpoint.folder)],
    }[step]
    capsys.readouterr()
    assert main([step, *more, "--base-model", base, "--output", str(output)]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"rigsa {step}: {damaged} is corrupt (")
    assert last.endswith("delete it, and the next run makes it again.")
    assert not output.exists()
