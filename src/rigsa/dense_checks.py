"""What a schema cannot say of an IMP arm's first, dense training: going back to it, ending it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rigsa.batches import share_in_steps
from rigsa.errors import ConfigError
from rigsa.mask_rules import DISTANCE, RULES_AFTER_TRAINING, RULES_WITH_GRADIENTS, WINDOW

if TYPE_CHECKING:
    from rigsa.study import Arm, Study


def check_dense(study: "Study", arm: "Arm", where: str) -> None:
    _check_rewind(arm, where)
    _check_early_bird(study, arm, where)


def check_shares(mask: Mapping[str, Any], steps: int) -> None:
    """Raises ConfigError where a share of the training is no step of it."""
    if "rewind" in mask:
        share_in_steps("mask.rewind", mask["rewind"], steps)
    if "early_bird" in mask:
        share, window = mask["early_bird"]["every"], mask["early_bird"].get("window", WINDOW)
        every = share_in_steps("mask.early_bird.every", share, steps)
        # The first mask has none before it.
        if (window + 1) * every >= steps:
            raise ConfigError(
                f"mask.early_bird looks at a mask every {every} of {steps} steps, and needs "
                f"{window + 1} of them to end early; set every or window lower."
            )


def _check_rewind(arm: "Arm", where: str) -> None:
    if "rewind" not in arm.mask:
        return
    if not arm.starts_dense:
        raise ConfigError(
            f"{where}.mask.rewind goes back to a dense training; set iterations to 2 or more, or "
            "take it out."
        )
    if arm.mask["rule"] in RULES_WITH_GRADIENTS:
        raise ConfigError(
            f"{where}.mask.rule {arm.mask['rule']!r} ranks by gradients before any training, which "
            "mask.rewind has nothing to do with; take one of the two out."
        )


def _check_early_bird(study: "Study", arm: "Arm", where: str) -> None:
    mask = arm.mask
    if "early_bird" not in mask:
        return
    if "rewind" in mask:
        raise ConfigError(
            f"{where}.mask has both rewind and early_bird, and the first training may end before "
            "the step to go back to; keep one of them."
        )
    if mask["rule"] not in RULES_AFTER_TRAINING:
        raise ConfigError(
            f"{where}.mask.early_bird waits for a mask to settle, and that of rule "
            f"{mask['rule']!r} does not follow the training; take it out."
        )
    density = study.density(arm.name, 1) if arm.starts_dense else None
    distance = mask["early_bird"].get("distance", DISTANCE)
    most = 2 * min(density or 1, 1 - (density or 0))
    if density is not None and distance >= most:
        raise ConfigError(
            f"{where}.mask.early_bird.distance is {distance}, and two masks that keep "
            f"{density:.3g} differ by {most:.3g} at most; set it lower."
        )
