"""SpIEL through the training job: places move there, and after a stop as without one."""

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open

from rigsa.adapters.build import linear_shapes
from rigsa.files import read_json, read_jsonl
from rigsa.machine import Machine
from rigsa.masks.storage import Mask, count, save_mask
from rigsa.models.loading import load_base, load_checkpoint
from rigsa.paths import CheckpointPaths
from rigsa.resume.interrupt import Stopped
from rigsa.training.gradients import summed_gradients
from rigsa.training.job import train
from tests.training.test_job import SPEC
from tests.training.test_resume import STEPS, Job, _terminate

# Of 12 steps, 1 to 3, 6 to 8 and none later gather; places move after 3 and 8.
SPIEL = {"type": "spiel", "every": 5, "gather": 3}
LOW_BIT = {"optimizer": "adamw_torch_8bit", "optimizer_options": {"bf16_stochastic_round": True}}
KINDS = {
    "float32": ({"adapter": SPIEL}, (1, 4, 7)),
    "stochastic rounding": (
        {
            "adapter": {**SPIEL, "dtype": "bfloat16"},
            "training": {**SPEC["training"], **LOW_BIT},
        },
        (8,),
    ),
}


@pytest.fixture(scope="module")
def mask(small_study, tmp_path_factory):
    file = tmp_path_factory.mktemp("mask") / "mask.safetensors"
    shapes = linear_shapes(load_base(small_study[0], Machine()))
    generator = torch.Generator().manual_seed(0)
    kept = {name: torch.rand(shape, generator=generator) < 0.05 for name, shape in shapes.items()}
    save_mask(Mask(kept), file)
    return file


def _train(small_study, mask, folder, **machine) -> CheckpointPaths:
    checkpoint = CheckpointPaths(folder / "arm" / "seed0" / "step0")
    train({**SPEC, "adapter": SPIEL}, *small_study, mask, checkpoint, Machine(**machine))
    return checkpoint


@pytest.fixture(scope="module")
def trained(small_study, mask, tmp_path_factory) -> CheckpointPaths:
    return _train(small_study, mask, tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_to_the_byte(kind, mask, small_study, tmp_path, monkeypatch) -> None:
    """From stops while it gathers, right after a move, and between the two."""
    options, stops = KINDS[kind]
    with torch.compiler.set_stance("force_eager"):
        options = {"mask": mask, "machine": Machine(), **options}
        whole = Job(small_study, tmp_path / "whole", monkeypatch, **options).run()
        job = Job(small_study, tmp_path / "job", monkeypatch, **options)
        done = 0
        for stop in stops:
            with pytest.raises(Stopped) as stopped:
                job.run(stop - done, _terminate)
            assert stopped.value.where == f"after step {stop} of {STEPS}"
            names = _tensors(job.unfinished / "state.safetensors")
            assert any("candidates" in name for name in names) == (stop in (1, 7))
            done = stop
        assert job.run().passes == STEPS - done
    assert job.content() == whole.content()


def test_places_move_and_are_saved(trained, mask) -> None:
    before, after = _tensors(mask), _tensors(trained.adapter / "adapter_model.safetensors")
    shared = 0
    for name, old in before.items():
        saved = f"base_model.model.{name}.sparse_delta_"
        bits = after[f"{saved}mask"]
        assert count(bits) == count(old) == after[f"{saved}values"].numel()
        shared += count(bits & old)
    # Of all places only few are where the first gradients are largest.
    assert 0 < shared < 0.3 * sum(map(count, before.values()))
    rows = read_jsonl(trained.training_log)
    assert {row["density"] for row in rows} == {read_json(trained.training)["density"]}
    assert rows[-1]["loss"] < rows[0]["loss"]
    # After 4, 8 and 12 steps: in the first move nearly all may go, later a share that falls to 0.
    assert rows[0]["moved"] > 0.7
    assert 0 < rows[1]["moved"] < 0.2 * (1 - 8 / 12)
    assert rows[2]["moved"] == rows[1]["moved"]


def test_it_can_be_asked_and_merged(trained, small_study) -> None:
    base, tokens = small_study[0], torch.arange(40).view(2, 20)
    adapted = PeftModel.from_pretrained(load_base(base, Machine()), trained.adapter)
    merged = load_checkpoint(base, trained.adapter, Machine(), None)
    torch.testing.assert_close(merged(tokens).logits, adapted(tokens).logits)
    with adapted.disable_adapter():
        assert not torch.allclose(adapted(tokens).logits, merged(tokens).logits, atol=1e-3)


def test_gradients_may_say_where_it_begins(small_study) -> None:
    """As SIFT's mask does; before there are places, it is a dense delta."""
    spec = {**SPEC, "adapter": SPIEL, "rule": "grad", "batch_size": 8}
    found = summed_gradients(spec, *small_study, Machine())
    plain = {**spec, "adapter": {"type": "sparse_delta", "init": "zero", "gate": "none"}}
    expected = summed_gradients(plain, *small_study, Machine())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_passes_add_up(trained, mask, small_study, tmp_path) -> None:
    """Smaller ones choose the same places: what is measured is of the whole batch."""
    files = [
        checkpoint.adapter / "adapter_model.safetensors"
        for checkpoint in (trained, _train(small_study, mask, tmp_path, micro_batch_size=3))
    ]
    one, other = (
        {name: bits.tolist() for name, bits in _tensors(file).items() if name.endswith("mask")}
        for file in files
    )
    assert len(one) == 14
    assert one == other


def _tensors(file) -> dict[str, torch.Tensor]:
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
