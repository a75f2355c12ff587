"""The embedded base model's training goes on, after any kind of end, to the same bytes."""

import pytest

from rigsa.files import write_jsonl
from rigsa.machine import Machine
from rigsa.models import embedded
from rigsa.models.job import make_base_model
from rigsa.tasks.generated import generate

SPEC = {
    "tasks": ["tiny_gsm", "tiny_piqa"],
    "vocabulary": 300,
    "architecture": {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
        "rope_theta": 100,
    },
    "training": {
        "seed": 0,
        "steps": 9,
        "rows": 2,
        "row_tokens": 128,
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "warmup_ratio": 0.2,
        "max_grad_norm": 1.0,
        "mixture": {"tiny_gsm": 1, "tiny_piqa": 1},
        "most_turns": {"tiny_gsm": 2, "tiny_piqa": 2},
    },
}


class Killed(Exception):
    pass


def test_it_goes_on_to_the_byte(tmp_path, monkeypatch) -> None:
    folders = [tmp_path / task for task in SPEC["tasks"]]
    for folder in folders:
        counts = {"train": 60, "validation": 1, "test": 1}
        write_jsonl(folder / "train.jsonl", generate(folder.name, 0, counts)["train"])
    machine = Machine(checkpoint_steps=2)
    steps, kill = 0, 0

    def count(*args, **kwargs):
        nonlocal steps
        steps += 1
        if steps == kill:
            raise Killed
        return cross_entropy(*args, **kwargs)

    cross_entropy = embedded.cross_entropy
    monkeypatch.setattr(embedded, "cross_entropy", count)
    make_base_model(SPEC, folders, tmp_path / "whole", machine)
    assert steps == 9

    unfinished = tmp_path / "unfinished"
    for step in (6, 3):  # In step 6; then in step 7, the third after step 4.
        steps, kill = 0, step
        with pytest.raises(Killed):
            make_base_model(SPEC, folders, tmp_path / "stopped", machine, unfinished)
    steps, kill = 0, 0
    make_base_model(SPEC, folders, tmp_path / "stopped", machine, unfinished)
    assert steps == 3
    whole, stopped = (tmp_path / name / "model.safetensors" for name in ("whole", "stopped"))
    assert whole.read_bytes() == stopped.read_bytes()
    assert not (unfinished / "state.safetensors").exists()
