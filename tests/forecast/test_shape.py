"""Shapes and parameter counts of SmolLM2-1.7B, from its config.json and from the catalogue."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rigsa.errors import ConfigError, FileError
from rigsa.forecast.described import adapter_of
from rigsa.forecast.shape import read_shape, shape_of, study_shape
from rigsa.paths import ResultPaths
from rigsa.study import load_study
from tests.forecast.paper import BASE_MODEL, paper

SMOLLM2 = shape_of(BASE_MODEL["forecast"])


def test_weights_of_smollm2() -> None:
    assert SMOLLM2.linear_weights == 1_610_612_736
    assert SMOLLM2.weights == 1_711_376_384


def test_the_catalogue_says_what_the_real_config_says(shared_data: Path) -> None:
    assert read_shape(shared_data / "smollm2" / "config.json") == SMOLLM2


@pytest.mark.parametrize(
    ("rank", "trained"), [(1, 1_130_496), (4, 4_521_984), (8, 9_043_968), (16, 18_087_936)]
)
def test_parameters_of_lora(rank: int, trained: int) -> None:
    assert adapter_of(SMOLLM2, {"type": "lora", "r": rank}, None).trainable == trained


def test_parameters_of_full_fine_tuning() -> None:
    adapter = adapter_of(SMOLLM2, {"type": "full"}, None)
    assert adapter.trainable == SMOLLM2.weights
    assert adapter.tensors == 24 * (7 + 2) + 1 + 1


def test_parameters_of_a_sparse_delta() -> None:
    """3.46 % of the linears, and a gate for each of 24 · 7 matrices."""
    adapter = adapter_of(SMOLLM2, {"type": "sparse_delta"}, 0.0346)
    assert adapter.trainable == pytest.approx(55.73e6, rel=1e-4)
    assert adapter.gates == 168
    some = adapter_of(SMOLLM2, {"type": "sparse_delta", "target_modules": ("q_proj",)}, 1.0)
    assert some.values == 24 * 2048**2


def test_parameters_of_neutral_residues() -> None:
    """Three matrices of 2048 x 2304 a layer, and a block gate of 2048 weights and a bias."""
    adapter = adapter_of(SMOLLM2, {"type": "neutral_residues"}, None)
    assert adapter.values == 339_738_624
    assert adapter.trainable == 339_738_624 + 24 * 2049
    half = adapter_of(SMOLLM2, {"type": "neutral_residues", "share": 0.1}, None)
    assert half.values == 24 * 3 * 2048 * 1152
    narrow = adapter_of(SMOLLM2, {"type": "neutral_residues", "width": 8}, None)
    assert narrow.values == 24 * 3 * 2048 * 8


def test_parameters_of_gates() -> None:
    """One for each row and column of every matrix; a low-rank part has LoRA's."""
    adapter = adapter_of(SMOLLM2, {"type": "fine_gates"}, None)
    assert adapter.trainable == 1_130_496
    assert adapter_of(SMOLLM2, {"type": "fine_gates", "r": 4}, None).trainable == 5 * 1_130_496


def test_an_adapter_that_is_not_counted_is_named() -> None:
    with pytest.raises(ConfigError, match=r"adapter\.type is 'lokr', which the forecast cannot"):
        adapter_of(SMOLLM2, {"type": "lokr"}, None)


def test_grouped_queries_and_a_head_of_its_own() -> None:
    config = BASE_MODEL["forecast"] | {"num_key_value_heads": 8, "tie_word_embeddings": False}
    shape = shape_of(config)
    assert shape.layer_linears["k_proj"] == (512, 2048)
    assert shape.weights - shape.linear_weights == 2 * 49152 * 2048 + 49 * 2048


def test_the_folder_goes_before_the_catalogue(tmp_path: Path) -> None:
    paths = ResultPaths(tmp_path, "paper")
    assert study_shape(paper(), paths) == SMOLLM2
    file = paths.base_model("smollm2") / "config.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(BASE_MODEL["forecast"] | {"num_hidden_layers": 2}))
    assert study_shape(paper(), paths).layers == 2
    file.write_text(json.dumps({"hidden_size": 1}))
    with pytest.raises(FileError, match=r"config\.json has no 'num_attention_heads'"):
        study_shape(paper(), paths)


def test_the_embedded_model_before_it_is_trained(project_root: Path, tmp_path: Path) -> None:
    shape = study_shape(load_study("embedded"), ResultPaths(tmp_path, "embedded"))
    assert shape.linear_weights == 1_048_576


def test_a_hub_model_without_a_shape_is_named(tmp_path: Path) -> None:
    study = replace(paper(), base_model_entry={"title": "A", "source": "hub"})
    with pytest.raises(ConfigError, match=r"add smollm2\.forecast"):
        study_shape(study, ResultPaths(tmp_path, "paper"))
