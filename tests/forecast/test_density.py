"""Densities that the study leaves to the model's shapes or to the training."""

from dataclasses import replace

import pytest

from rigsa.study import Arm
from tests.forecast.paper import DELTA, TRAINING, paper


@pytest.mark.parametrize("way", ["lora_rank", "density_of"])
def test_a_lora_rank_is_the_share_that_lora_has_of_the_linears(on_card, way: str) -> None:
    mask = {"rule": "large_final", "lora_rank": 16}
    arms = {"ranked": Arm("ranked", "Ranked", "full", DELTA, 5, mask, TRAINING)}
    matched = {"rule": "random", "density_of": "ranked"}
    arms["matched"] = Arm("matched", "Matched", "full", DELTA, 1, matched, TRAINING)
    setting = on_card(study=replace(paper(), arms=arms))
    assert setting.density(arms["ranked"], 0) == 1
    arm, step = (arms["ranked"], 4) if way == "lora_rank" else (arms["matched"], 0)
    assert setting.adapter(arm, step).values == 16 * 1_130_496
    halfway = setting.density(arms["ranked"], 2)
    assert halfway == pytest.approx((16 * 1_130_496 / 1_610_612_736) ** 0.5)
