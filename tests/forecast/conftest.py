"""Settings of forecasts: the paper's study on a card."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rigsa.forecast.cards import card
from rigsa.forecast.setting import Setting, setting_from
from rigsa.paths import ResultPaths
from rigsa.study import Study
from tests.forecast.paper import paper

CONFIG = {
    "device": "auto",
    "precision": "auto",
    "micro_batch_size": 8,
    "eval_batch_size": 8,
    "activation_checkpointing": "auto",
    "shard_base_model": False,
}


@pytest.fixture
def on_card(tmp_path: Path) -> Callable[..., Setting]:
    """A study, by default the paper's with 8-bit optimizer state, on a card."""

    def make(name: str = "rtx4090", study: Study | None = None, **config: int) -> Setting:
        study = study or paper("adamw_bnb_8bit")
        return setting_from(
            study, ResultPaths(tmp_path, study.name), card(name, "--gpu"), CONFIG | config
        )

    return make
