"""The benchmark that counts storages on the meta device, at a tiny shape."""

import json
from pathlib import Path

from benchmarks.count_memory import count, forecast
from tests.forecast.paper import BASE_MODEL

TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 64,
}


def test_what_lasts_is_forecast_to_the_byte(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BASE_MODEL["forecast"] | TINY))
    counted = count(tmp_path, "float32", 2)
    expected = forecast(tmp_path, "float32", 2, "adamw_torch_fused")
    assert counted.pop("passing") > 0
    assert expected.pop("passing") > 0
    assert counted == expected


def test_more_rows_add_what_the_forecast_says(tmp_path: Path) -> None:
    """Rows add activations alone, which a layer's own shape decides."""
    (tmp_path / "config.json").write_text(json.dumps(BASE_MODEL["forecast"] | TINY))
    added = [
        make(8)["passing"] - make(4)["passing"]
        for make in (
            lambda rows: count(tmp_path, "float32", rows),
            lambda rows: forecast(tmp_path, "float32", rows, "adamw_torch_fused"),
        )
    ]
    assert 0.8 < added[1] / added[0] < 1.25
