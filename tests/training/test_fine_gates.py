"""Gates in a training: the penalty counts once a batch, what is closed is said, noise ends."""

import pytest
import torch

from rigsa.files import read_json, read_jsonl
from rigsa.machine import Machine
from rigsa.models.loading import load_adapter, load_base, load_checkpoint, load_tokenizer
from rigsa.paths import CheckpointPaths
from rigsa.training.data import Collator
from rigsa.training.job import train
from rigsa.training.log import troubles
from rigsa.training.loss import answer_logits
from rigsa.training.rows import SPLITS, target_rows
from tests.training.test_job import SPEC

FOUR_BIT = {"quant_type": "nf4", "compute_dtype": "float32", "double_quant": True}
TRAINING = {**SPEC["training"], "weight_decay": 0.0, "learning_rate": 0.2, "epochs": 3}
GATES = {**SPEC, "adapter": {"type": "fine_gates", "target": 0.6}, "training": TRAINING}


def _train(small_study, folder, size=16, **adapter) -> CheckpointPaths:
    checkpoint = CheckpointPaths(folder / "arm" / "seed0" / "step0")
    spec = {**GATES, "adapter": {**GATES["adapter"], **adapter}}
    train(spec, *small_study, None, checkpoint, Machine(micro_batch_size=size))
    return checkpoint


@pytest.fixture(scope="module")
def trained(small_study, tmp_path_factory) -> CheckpointPaths:
    return _train(small_study, tmp_path_factory.mktemp("gates"))


def test_the_penalty_is_added_once_a_batch_however_many_passes(small_study, tmp_path) -> None:
    """At the start it is 50 · (0.994 − 0.4), and the answers' loss is about 6."""
    few, many = (
        read_jsonl(_train(small_study, tmp_path / str(size), size, noise=0).training_log)
        for size in (8, 3)
    )
    assert [row["loss"] for row in many] == pytest.approx([r["loss"] for r in few], rel=1e-3)
    assert few[-1]["loss"] < few[0]["loss"] < 50 * 0.6 + 6


def test_what_is_closed_is_said_of_every_matrix_and_of_all(trained) -> None:
    last, totals = read_jsonl(trained.training_log)[-1], read_json(trained.training)
    parts = ("closed_rows", "closed_columns", "closed_weights")
    assert len(last["layers"]) == 14
    for layer in last["layers"].values():
        assert set(layer) == set(parts)
        rows, columns, weights = (layer[part] for part in parts)
        assert weights == pytest.approx(rows + columns - rows * columns, abs=1e-6)
    assert 0 < totals["closed_weights"] < 1
    assert totals["closed_weights"] == last["closed_weights"]
    assert totals["density"] is totals["sign_kept"] is totals["gate"] is None
    assert totals["trainable_parameters"] == 2 * (4 * 64 + 3 * 96)


def test_on_a_four_bit_base_they_stay_beside_the_weights(small_study, tmp_path) -> None:
    checkpoint = CheckpointPaths(tmp_path / "arm" / "seed0" / "step0")
    training = {**TRAINING, "epochs": 1}
    spec = {**GATES, "quantization": FOUR_BIT, "training": training}
    train(spec, *small_study, None, checkpoint, Machine())
    asked = load_checkpoint(small_study[0], checkpoint.adapter, Machine(), FOUR_BIT)
    assert asked.active_peft_config.peft_type == "FINE_GATES"
    with pytest.raises(ValueError, match="is a Linear4bit, into which gates cannot be folded; use"):
        asked.merge_and_unload()


def test_what_is_asked_afterwards_has_no_noise(trained, small_study) -> None:
    """Folded or beside the weights, it answers what the training's last line says."""
    base, task = small_study
    folded = load_checkpoint(base, trained.adapter, Machine(), None)
    beside = load_adapter(load_base(base, Machine()), trained.adapter)
    assert not hasattr(folded, "peft_config")
    tokenizer = load_tokenizer(base)
    batch = Collator(tokenizer.pad_token_id)(target_rows(task, SPLITS[1], tokenizer))
    with torch.no_grad():
        found, answers = answer_logits(folded, batch)
        torch.testing.assert_close(answer_logits(beside, batch)[0], found, rtol=1e-4, atol=1e-5)
    loss = torch.nn.functional.cross_entropy(found, answers).item()
    assert loss == pytest.approx(read_json(trained.training)["validation_loss"], rel=1e-4)


def test_a_matrix_of_which_nothing_is_open_is_named(trained, small_study) -> None:
    model = load_adapter(load_base(small_study[0], Machine()), trained.adapter)
    assert troubles(model) == []
    layers = [module for module in model.modules() if hasattr(module, "trouble")]
    with torch.no_grad():
        layers[2].fine_gates_columns["default"].fill_(-9)
    (one,) = troubles(model)
    assert one == (
        f"{layers[2].module_name}: gates have closed all of it; lower adapter.target or the "
        "learning_rate"
    )
    with torch.no_grad():
        for layer in layers:
            layer.fine_gates_rows["default"].fill_(-9)
    (all_of_them,) = troubles(model)
    assert " and 11 more: gates have closed all of it" in all_of_them
