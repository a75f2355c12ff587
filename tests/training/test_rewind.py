"""Going back to step k of the first training: what is kept, where it goes on, what is compared."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from rigsa.files import read_json, read_jsonl
from rigsa.machine import Machine
from rigsa.masks.job import select_mask
from rigsa.masks.storage import load_mask
from rigsa.models.shapes import adapted_shapes
from rigsa.paths import CheckpointPaths
from rigsa.resume.interrupt import Stopped
from rigsa.tensors import add_checksum
from rigsa.training.job import train
from tests.training.test_job import SPEC
from tests.training.test_resume import TIMED, Job, Killed, _kill, _terminate

STEPS, TURN = 12, 3
REWIND = {"rewind": TURN / STEPS}
# Without momentum an optimizer has no state, so that a fresh one is the same.
STATELESS = {"training": {**SPEC["training"], "optimizer": "sgd", "learning_rate": 0.3}}


class Rewound(Job):
    """A training that goes on from the values in a file."""

    rewind = None

    def run(self, at: int = 0, end=None) -> "Rewound":
        self.passes, self.at = 0, (at, end)
        given = (self.spec, *self.study, self.mask, self.checkpoint, self.machine, self.unfinished)
        train(*given, rewind=self.rewind)
        return self


@pytest.fixture(scope="module")
def dense(small_study, tmp_path_factory) -> CheckpointPaths:
    """A first training that keeps what it had after three of twelve steps."""
    checkpoint = CheckpointPaths(tmp_path_factory.mktemp("dense") / "arm" / "seed0" / "step0")
    train({**SPEC, **REWIND}, *small_study, None, checkpoint, Machine())
    return checkpoint


def test_values_of_step_k_are_kept(dense, small_study, tmp_path, monkeypatch) -> None:
    job = Job(small_study, tmp_path, monkeypatch)
    with pytest.raises(Stopped):
        job.run(TURN, _terminate)
    state = load_file(job.unfinished / "state.safetensors")
    found = load_file(dense.rewind)
    assert len(found) == 28
    for name, value in found.items():
        assert torch.equal(value, state[f"value.{name}.default"])
    assert read_json(dense.training)["rewind_step"] == TURN
    assert not job.run().checkpoint.rewind.exists()


def test_the_first_training_is_the_one_without(dense, small_study, tmp_path) -> None:
    plain = CheckpointPaths(tmp_path / "arm" / "seed0" / "step0")
    train(SPEC, *small_study, None, plain, Machine())
    for one, other in zip(plain.adapter_files, dense.adapter_files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_it_goes_on_from_there_as_if_nothing_had_been(small_study, tmp_path) -> None:
    """Batches, schedule, values and gates are those of step k: nothing else decides this one."""
    spec = {**SPEC, **REWIND, **STATELESS}
    whole, rest = (CheckpointPaths(tmp_path / name / "seed0" / "step0") for name in ("a", "b"))
    train(spec, *small_study, None, whole, Machine())
    train(spec, *small_study, None, rest, Machine(), rewind=whole.rewind)
    for one, other in zip(whole.adapter_files, rest.adapter_files, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert read_json(rest.training)["steps"] == STEPS - TURN
    assert not rest.rewind.exists()
    rates, others = (
        {row["step"]: row["learning_rate"] for row in read_jsonl(point.training_log)}
        for point in (whole, rest)
    )
    assert others == rates


def test_its_optimizer_is_a_fresh_one(dense, small_study, tmp_path) -> None:
    rest = CheckpointPaths(tmp_path / "seed0" / "step1")
    train({**SPEC, **REWIND}, *small_study, None, rest, Machine(), rewind=dense.rewind)
    assert rest.adapter_files[1].read_bytes() != dense.adapter_files[1].read_bytes()


def test_a_stop_before_or_after_step_k_changes_nothing(
    dense, small_study, tmp_path, monkeypatch
) -> None:
    first = Rewound(small_study, tmp_path / "first", monkeypatch, **REWIND)
    for step, end, error in ((3, _kill, Killed), (2, _terminate, Stopped), (3, _kill, Killed)):
        with pytest.raises(error):
            first.run(step, end)
    first.run()
    assert first.checkpoint.rewind.read_bytes() == dense.rewind.read_bytes()
    assert first.content()[0] == [file.read_bytes() for file in dense.adapter_files]

    def masked(name: str) -> Rewound:
        job = Rewound(small_study, tmp_path / name, monkeypatch, mask=mask, **REWIND)
        job.rewind = dense.rewind
        return job

    mask = tmp_path / "mask.safetensors"
    _select(small_study, mask, dense)
    whole, job = masked("whole").run(), masked("job")
    assert whole.passes == STEPS - TURN
    for step, end, error in ((4, _kill, Killed), (3, _terminate, Stopped)):
        with pytest.raises(error):
            job.run(step, end)
    assert job.run().content() == whole.content()
    row = {k for k in read_jsonl(whole.checkpoint.training_log)[-1] if k not in TIMED}
    assert {"sign_kept", "density", "gate"} <= row


def test_signs_are_those_of_step_k(dense, small_study, tmp_path) -> None:
    """A survivor has its value of step k before it is trained again, and is compared with that."""
    mask = tmp_path / "mask.safetensors"
    _select(small_study, mask, dense, keep=1.0)
    kept, begun, final = load_mask(mask), load_file(dense.rewind), load_file(dense.adapter_files[1])
    for name in kept:
        key = f"base_model.model.{name}.sparse_delta_values"
        assert torch.equal(kept[name], torch.sign(begun[key]) == torch.sign(final[key]))
    spec = {**SPEC, **REWIND, "training": {**SPEC["training"], "learning_rate": 1e-30}}
    rest = CheckpointPaths(tmp_path / "seed0" / "step1")
    train(spec, *small_study, mask, rest, Machine(), rewind=dense.rewind)
    values = load_file(rest.adapter_files[1])
    for name in kept:
        key = f"base_model.model.{name}.sparse_delta_"
        assert torch.equal(values[f"{key}values"], begun[f"{key}values"][kept[name]])
        assert torch.equal(values[f"{key}gate"], begun[f"{key}gate"])
    assert read_json(rest.training)["sign_kept"] == 1.0


def _select(small_study, output, dense, keep=0.2) -> None:
    spec = {"adapter": SPEC["adapter"], "rule": "large_final_same_sign", "scope": "matrix"}
    shapes = adapted_shapes(small_study[0])
    select_mask(
        {**spec, "keep": keep, "seed": 0}, shapes, output, dense.adapter, rewound=dense.rewind
    )


@pytest.mark.parametrize(
    ("rule", "kept"),
    [("movement", [3, 4]), ("magnitude_increase", [3, 5]), ("large_init", [0, 1])],
)
def test_rules_compare_with_step_k(rule: str, kept: list[int], tmp_path) -> None:
    def saved(name: str, values: list[float]):
        (tmp_path / "adapter").mkdir(exist_ok=True)
        file = tmp_path / "adapter" / f"{name}.safetensors"
        save_file({"base_model.model.a.sparse_delta_values": torch.tensor([values])}, file)
        add_checksum(file)
        return file

    begun = saved("rewind", [3.0, -2.0, 1.0, 0.5, 1.0, -0.1])
    adapter = saved("adapter_model", [3.0, -2.0, 1.0, 2.5, -1.0, -1.1]).parent
    spec = {"adapter": SPEC["adapter"], "rule": rule, "scope": "matrix", "keep": 1 / 3, "seed": 0}
    select_mask(spec, {"a": (1, 6)}, tmp_path / "mask", adapter, rewound=begun)
    assert load_mask(tmp_path / "mask")["a"].flatten().nonzero().flatten().tolist() == kept
