"""The training job: what it leaves behind, that it repeats to the byte, and what it refuses."""

import json

import pytest
import torch
from safetensors import safe_open

from rigsa.adapters.build import linear_shapes
from rigsa.errors import FileError, RigsaError
from rigsa.files import read_json, read_jsonl
from rigsa.machine import Machine
from rigsa.masks.storage import Mask, save_mask
from rigsa.models.loading import load_base, load_checkpoint, load_tokenizer
from rigsa.paths import CheckpointPaths
from rigsa.tasks.textual_digits import ANSWER_OPENING, messages
from rigsa.training.data import Collator, encode
from rigsa.training.gradients import summed_gradients
from rigsa.training.job import train
from rigsa.training.loss import answer_logits
from rigsa.training.order import Batches

SPEC = {
    "quantization": None,
    "precision": "float32",
    "adapter": {"type": "sparse_delta", "init": "uniform", "gate": "matrix", "gate_init": 1e-6},
    "seed": 0,
    "task": "textual_digits",
    "training": {
        "optimizer": "adamw_torch_fused",
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "schedule": "linear",
        "warmup_ratio": 0.1,
        "epochs": 2,
        "batch_size": 8,
        "max_grad_norm": 1.0,
        "logs": 3,
    },
}


def _train(small_study, folder, mask=None, machine=None, **changes) -> CheckpointPaths:
    checkpoint = CheckpointPaths(folder / "arm" / "seed0" / "step0")
    train({**SPEC, **changes}, *small_study, mask, checkpoint, machine or Machine())
    return checkpoint


def test_what_a_training_leaves_behind(small_study, tmp_path) -> None:
    checkpoint = _train(small_study, tmp_path)
    names = {str(path.relative_to(checkpoint.folder)) for path in checkpoint.folder.rglob("*.*")}
    adapter = {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"}
    assert names == {*adapter, "training.json", "training.jsonl"}
    rows = read_jsonl(checkpoint.training_log)
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert rows[0]["learning_rate"] > rows[-1]["learning_rate"]
    assert rows[-1]["loss"] < rows[0]["loss"]
    for row in rows:
        assert len(row["layers"]) == 14
        for layer in row["layers"].values():
            assert 0 < layer["sign_kept"] <= 1
            assert layer["density"] == 1
            assert layer["gate"] != 1e-6
        assert row["kl_to_base"] > 0
        assert row["tokens_per_second"] > 0
        assert row["peak_memory_bytes"] > 1e6
    totals = json.loads(checkpoint.training.read_text())
    shapes = linear_shapes(load_base(small_study[0], Machine()))
    adapted = sum(shape.numel() for shape in shapes.values())
    assert totals["adapted_parameters"] == adapted
    assert totals["trainable_parameters"] == adapted + 14
    assert totals["steps"] == 12
    assert totals["spec"]["training"]["epochs"] == 2
    assert totals["versions"]["torch"] == torch.__version__


def test_the_probe_agrees_with_the_saved_adapter(small_study, tmp_path) -> None:
    """Accuracy and KL recomputed from the files."""
    base, task = small_study
    checkpoint = _train(small_study, tmp_path)
    tokenizer = load_tokenizer(base)
    docs = read_jsonl(task / "validation.jsonl")
    rows = encode(map(messages, docs), ANSWER_OPENING, tokenizer)
    batch = Collator(0)(rows)
    with torch.no_grad():
        tuned, answers = answer_logits(
            load_checkpoint(base, checkpoint.adapter, Machine(), None), batch
        )
        plain, _ = answer_logits(load_base(base, Machine()), batch)
    p, q = tuned.log_softmax(-1), plain.log_softmax(-1)
    totals = json.loads(checkpoint.training.read_text())
    accuracy = (tuned.argmax(-1) == answers).float().mean().item()
    assert totals["validation_accuracy"] == pytest.approx(accuracy)
    divergence = torch.nn.functional.kl_div(q, p, log_target=True, reduction="batchmean").item()
    assert totals["kl_to_base"] == pytest.approx(divergence, rel=1e-4)


def test_it_repeats_to_the_byte(small_study, tmp_path) -> None:
    first = _train(small_study, tmp_path / "a").adapter_files
    second = _train(small_study, tmp_path / "b").adapter_files
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    other_seed = _train(small_study, tmp_path / "c", seed=1).adapter_files
    assert first[1].read_bytes() != other_seed[1].read_bytes()


@pytest.mark.parametrize("adapter", [SPEC["adapter"], {"type": "lora", "r": 1}])
def test_the_saved_configuration_is_in_one_order(adapter, small_study, tmp_path) -> None:
    # PEFT's set of names would be written in an order that changes from process to process.
    checkpoint = _train(small_study, tmp_path, adapter=adapter)
    modules = read_json(checkpoint.adapter / "adapter_config.json")["target_modules"]
    assert len(modules) > 1
    assert modules == sorted(modules)


def test_a_masked_training_moves_only_free_weights(small_study, tmp_path) -> None:
    shapes = linear_shapes(load_base(small_study[0], Machine()))
    generator = torch.Generator().manual_seed(0)
    mask = Mask({n: torch.rand(s, generator=generator) < 0.05 for n, s in shapes.items()})
    save_mask(mask, tmp_path / "mask.safetensors")
    checkpoint = _train(small_study, tmp_path, tmp_path / "mask.safetensors")
    model = load_checkpoint(small_study[0], checkpoint.adapter, Machine(), None)
    base = load_base(small_study[0], Machine())
    for name in shapes:
        moved = model.get_submodule(name).weight != base.get_submodule(name).weight
        assert moved.any()
        assert not (moved & ~mask[name]).any()
    totals = json.loads(checkpoint.training.read_text())
    assert totals["density"] == pytest.approx(mask.density)
    assert totals["trainable_parameters"] == mask.kept + 14


def test_a_mask_of_another_model_is_refused(small_study, tmp_path) -> None:
    save_mask(Mask({"elsewhere": torch.ones(2, 2, dtype=torch.bool)}), tmp_path / "mask")
    with pytest.raises(FileError, match="the mask does not fit its model"):
        _train(small_study, tmp_path, tmp_path / "mask")


@pytest.mark.parametrize("micro_batch", [8, 3])
def test_gradients_of_the_first_batch(small_study, micro_batch: int) -> None:
    """Those of ΔW in W0 + α·ΔW, which are α times those of the plain weights."""
    base, task = small_study
    spec = {**SPEC, "rule": "grad", "batch_size": 8}
    machine = Machine(micro_batch_size=micro_batch)
    found = summed_gradients(spec, base, task, machine)
    model = load_base(base, Machine()).requires_grad_(True)
    rows = encode(
        map(messages, read_jsonl(task / "train.jsonl")), ANSWER_OPENING, load_tokenizer(base)
    )
    model(**Collator(0)(Batches(rows, 8, 1, seed=0)[0])).loss.backward()
    assert set(found) == set(linear_shapes(model))
    for name, gradient in found.items():
        plain = 1e-6 * model.get_submodule(name).weight.grad
        assert (gradient - plain).norm() < 1e-3 * plain.norm()


def test_out_of_memory_says_what_to_lower(monkeypatch, small_study, tmp_path) -> None:
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr("rigsa.training.trainer.answer_loss", full)
    with pytest.raises(
        RigsaError, match=r"micro_batch_size 4; set micro_batch_size to 2 or activation_checkp"
    ):
        _train(small_study, tmp_path, machine=Machine(micro_batch_size=4))


@pytest.mark.parametrize(
    "machine",
    [Machine(activation_checkpointing="full"), Machine(dataloader_workers=1)],
    ids=["activation_checkpointing", "dataloader_workers"],
)
def test_settings_of_the_machine_decide_no_result(machine, small_study, tmp_path) -> None:
    plain = _train(small_study, tmp_path / "plain")
    other = _train(small_study, tmp_path / "other", machine=machine)
    weights = "adapter_model.safetensors"
    assert (plain.adapter / weights).read_bytes() == (other.adapter / weights).read_bytes()


def test_values_in_bfloat16_train_with_low_bit_state(small_study, tmp_path) -> None:
    low_bit = {
        "optimizer": "adamw_torch_8bit",
        "optimizer_options": {"bf16_stochastic_round": True},
    }
    with torch.compiler.set_stance("force_eager"):
        checkpoint = _train(
            small_study,
            tmp_path,
            adapter={**SPEC["adapter"], "dtype": "bfloat16"},
            training={**SPEC["training"], **low_bit},
        )
    rows = read_jsonl(checkpoint.training_log)
    assert rows[-1]["loss"] < rows[0]["loss"]
    with safe_open(checkpoint.adapter / "adapter_model.safetensors", "pt") as file:
        dtypes = {name.rpartition(".")[2]: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert dtypes == {"sparse_delta_values": torch.bfloat16, "sparse_delta_gate": torch.float32}
