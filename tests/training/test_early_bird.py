"""A first training that ends once its mask has settled: when, with what, and after any stop."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from rigsa.files import read_json, read_jsonl
from rigsa.machine import Machine
from rigsa.masks.job import select_mask
from rigsa.masks.storage import load_mask
from rigsa.models.shapes import adapted_shapes
from rigsa.paths import CheckpointPaths
from rigsa.resume.interrupt import Stopped
from rigsa.training import early_bird as early_bird_module
from rigsa.training.early_bird import EarlyBird
from rigsa.training.job import train
from tests.training.test_job import SPEC
from tests.training.test_resume import Job, Killed, _kill, _terminate

STEPS, END = 12, 7
MASK = {"rule": "large_final_same_sign", "scope": "matrix", "keep": None, "density": 0.3}
MASK |= {"adapter": SPEC["adapter"], "seed": 0}
# A look after every step; six distances below what no two such masks differ by: after seven steps.
EARLY = {"early_bird": {"every": 1 / STEPS, "distance": 0.9, "window": END - 1, "mask": MASK}}

# GATECH-EIC/Early-Bird-Tickets 4a16ae0, main.py, class EarlyBird(0.5, epoch_keep=2) on the values
# below as two layers' factors: of 39, how many differ from the look before. With its own queue
# (epoch_keep=5) it finds the ticket at the eleventh look.
SHAPES = {"layers.0.a": (4, 6), "layers.0.b": (3, 5)}
DIFFERENCES = [4, 4, 0, 2, 4, 2, 2, 0, 0, 0]


def test_it_ends_where_the_authors_program_finds_the_ticket(monkeypatch) -> None:
    places = torch.arange(39)
    first, last = (((places * 37 + shift) % 101 - 50.25) / 16 for shift in (11, 23))
    spec = {"rule": "large_final", "scope": "global", "keep": None, "density": 19 / 39, "seed": 0}
    checks, control = [], SimpleNamespace(should_training_stop=False)
    bird = EarlyBird(None, {"mask": spec}, SHAPES, 10, checks, {})
    for look in range(11):
        assert not control.should_training_stop
        values = first * (1 - 0.75**look) + last * 0.75**look
        saved = dict(zip(SHAPES, values.split([24, 15]), strict=True))
        names = {f"base_model.model.{n}.sparse_delta_values": v for n, v in saved.items()}
        monkeypatch.setattr(early_bird_module, "saved_form", lambda model, found=names: found)
        for step in range(10 * look + 1, 10 * look + 11):
            bird.on_step_end(None, SimpleNamespace(global_step=step), control)
    assert control.should_training_stop
    assert [check["step"] for check in checks] == list(range(20, 111, 10))
    assert [round(39 * check["distance"]) for check in checks] == DIFFERENCES


@pytest.fixture(scope="module")
def ended(small_study, tmp_path_factory) -> CheckpointPaths:
    checkpoint = CheckpointPaths(tmp_path_factory.mktemp("ended") / "arm" / "seed0" / "step0")
    train({**SPEC, **EARLY}, *small_study, None, checkpoint, Machine())
    return checkpoint


def test_it_ends_as_if_it_were_finished(ended, small_study, tmp_path, monkeypatch) -> None:
    """With the values that a training of all steps has then, and its schedule."""
    whole = Job(small_study, tmp_path, monkeypatch)
    with pytest.raises(Stopped):
        whole.run(END, _terminate)
    state = load_file(whole.unfinished / "state.safetensors")
    for name, value in load_file(ended.adapter_files[1]).items():
        assert torch.equal(value, state[f"value.{name}.default"])
    totals, rows = read_json(ended.training), read_jsonl(ended.training_log)
    assert totals["steps"] == END
    assert [row["step"] for row in rows] == [4, END]
    assert totals["loss"] == rows[-1]["loss"]
    peak, warmup = SPEC["training"]["learning_rate"], 1
    rate = peak * (STEPS - (END - 1)) / (STEPS - warmup)
    assert rows[-1]["learning_rate"] == pytest.approx(rate)
    assert [check["step"] for check in totals["early_bird"]] == list(range(2, END + 1))


def test_distances_are_those_of_the_masks_that_a_job_would_choose(
    ended, small_study, tmp_path
) -> None:
    shapes, masks = adapted_shapes(small_study[0]), []
    for step in (END - 1, END):
        point = CheckpointPaths(tmp_path / str(step) / "seed0" / "step0")
        train({**SPEC, "rewind": step / STEPS}, *small_study, None, point, Machine())
        point.rewind.replace(point.adapter_files[1])
        select_mask(MASK, shapes, tmp_path / f"{step}.mask", point.adapter)
        masks.append(load_mask(tmp_path / f"{step}.mask"))
    moved = sum(int((masks[0][name] ^ masks[1][name]).sum()) for name in shapes)
    assert moved > 0
    assert read_json(ended.training)["early_bird"][-1]["distance"] == moved / masks[0].size


def test_a_training_whose_mask_does_not_settle_goes_to_its_end(small_study, tmp_path) -> None:
    point = CheckpointPaths(tmp_path / "seed0" / "step0")
    settings = {**EARLY["early_bird"], "distance": 1e-9, "window": 2, "every": 0.25}
    train({**SPEC, "early_bird": settings}, *small_study, None, point, Machine())
    assert read_json(point.training)["steps"] == STEPS
    assert [check["step"] for check in read_json(point.training)["early_bird"]] == [6, 9, 12]


def test_a_stop_changes_nothing(ended, small_study, tmp_path, monkeypatch) -> None:
    job = Job(small_study, tmp_path, monkeypatch, **EARLY)
    for step, end, error in ((4, _kill, Killed), (1, _terminate, Stopped), (3, _kill, Killed)):
        with pytest.raises(error):
            job.run(step, end)
    # A signal in what turns out to be the last step comes too late.
    assert job.run(END - 5, _terminate).passes == END - 5
    assert job.content()[0] == [file.read_bytes() for file in ended.adapter_files]
    assert (
        read_json(job.checkpoint.training)["early_bird"] == read_json(ended.training)["early_bird"]
    )
