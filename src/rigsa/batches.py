"""How many optimizer steps a training takes."""

from collections.abc import Mapping
from typing import Any

from rigsa.errors import ConfigError


def optimizer_steps(training: Mapping[str, Any], rows: int) -> int:
    """Of a training on so many items; raises ConfigError where that is none.

    transformers takes 0 steps for "not said" and trains three epochs.
    """
    steps = round(training["epochs"] * rows / training["batch_size"])
    if steps == 0:
        raise ConfigError(
            f"epochs is {training['epochs']}, less than one batch of {training['batch_size']} of "
            f"the {rows} training items; set it higher."
        )
    return steps
