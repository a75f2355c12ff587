"""A SPEC that is none is one sentence for every step, without a traceback."""

import json

import pytest

from rigsa.cli import main
from rigsa.errors import ConfigError, RigsaError
from rigsa.steps.spec import read_spec

STEPS = {
    "fetch": (),
    "task-data": (),
    "base-model": ("--task-data", "x"),
    "select-mask": ("--base-model", "x"),
    "train": ("--base-model", "x", "--task-data", "x"),
    "tune": ("--trials", "x"),
    "evaluate": ("--base-model", "x", "--task-data", "x"),
}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{nonsense", "SPEC is not valid JSON: "),
        ('{"seed": NaN}', "SPEC is not valid JSON: NaN is no number."),
        ('{"a": ' * 5000, "SPEC is not valid JSON: maximum recursion"),
        ("no such file", "SPEC names the file 'no such file', which cannot be read."),
        ("\0", "SPEC is not valid JSON: "),
        ('{"seed": true}', "SPEC has seed True; it must be a whole number."),
        ('{"seed": 1.5}', "SPEC has seed 1.5; it must be a whole number."),
        ('{"training": {"batch_size": "16"}}', "SPEC has batch_size '16'; it must be a whole num"),
        ('{"training": []}', "SPEC has training []; it must be an object."),
        (
            '{"density": "all"}',
            "SPEC has density 'all'; it must be a whole number or a number or",
        ),
        ('{"tasks": "tiny_gsm"}', "SPEC has tasks 'tiny_gsm'; it must be a list."),
    ],
)
def test_a_wrong_spec_is_a_sentence(text, sentence, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RigsaError) as caught:
        read_spec(text)
    assert str(caught.value).startswith(sentence)


def test_a_file_must_hold_an_object(tmp_path) -> None:
    (tmp_path / "spec.json").write_text("[1]")
    with pytest.raises(ConfigError, match=r"must be an object of keys and values, not \[1\]"):
        read_spec(str(tmp_path / "spec.json"))


@pytest.mark.parametrize("step", STEPS)
def test_no_step_ends_in_a_traceback(step, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([step, "{}", *STEPS[step], "--output", "out"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith(f"rigsa {step}: SPEC lacks the key ")
    assert "Traceback" not in "".join(said)


def test_the_keys_of_an_object_within_are_guarded_too() -> None:
    with pytest.raises(ConfigError, match="SPEC lacks the key 'epochs'"):
        read_spec('{"training": {}}')["training"]["epochs"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rule": "grad"}, "SPEC has rule 'grad', which ranks by gradients; give --task-data DIR."),
        (
            {"rule": "movement"},
            "SPEC has rule 'movement', which ranks by trained weights; give --previous-ada",
        ),
        ({"rule": "gard"}, "SPEC has rule 'gard'; did you mean 'grad'? There are: grad, grad_squ"),
        ({"scope": "block"}, "SPEC has scope 'block'; there are: global, layer, matrix."),
    ],
)
def test_a_mask_rule_without_what_it_ranks_by(changes, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    spec = json.dumps({"rule": "random", "scope": "matrix", **changes})
    assert main(["select-mask", spec, "--base-model", "x", "--output", "out"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith(f"rigsa select-mask: {sentence}")
