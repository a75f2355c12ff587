"""How density falls over the IMP steps: a keep ratio, an exact final density, or a list."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from rigsa.errors import ConfigError

WAYS = ("keep", "density", "densities", "density_of", "lora_rank")


def progress(step: int, iterations: int) -> float:
    """0 at the dense step of several, 1 at the last: the share of prunings that are done."""
    return step / (iterations - 1) if iterations > 1 else 1.0


def density(mask: Mapping[str, Any], step: int, iterations: int) -> float | None:
    """Share of weights kept at `step`, or None where `keep` leaves it to the training and
    `lora_rank` to the shapes of the matrices.

    `density` D over n prunings is the geometric schedule D^(t/n): every pruning keeps the same
    share of the weights before it (0.431 for 3.46 % after four).
    """
    if "densities" in mask:
        return mask["densities"][step]
    if "density" in mask:
        return mask["density"] ** progress(step, iterations)
    return None


def check(mask: Mapping[str, Any], iterations: int, where: str) -> None:
    """Raises ConfigError unless exactly one way is given and density never grows."""
    given = [way for way in WAYS if way in mask]
    if len(given) != 1:
        said = " and ".join(given) or "none"
        raise ConfigError(f"{where} must say exactly one of {', '.join(WAYS)}; it says {said}.")
    if "densities" in mask:
        values = mask["densities"]
        if len(values) != iterations:
            raise ConfigError(
                f"{where}.densities has {len(values)} entries; it needs one for each of the "
                f"{iterations} iterations."
            )
        if iterations > 1 and values[0] != 1:
            raise ConfigError(f"{where}.densities must begin with 1: the first iteration is dense.")
        for step, (before, after) in enumerate(pairwise(values), start=1):
            if after > before:
                raise ConfigError(
                    f"{where}.densities grows from {before} to {after} at step {step}; "
                    "a pruned weight never comes back, so it can only fall."
                )
    if "density_of" in mask and iterations > 1:
        raise ConfigError(f"{where}.density_of gives one density; set iterations to 1.")
    if "keep" in mask and iterations == 1:
        raise ConfigError(f"{where}.keep prunes between iterations; set iterations to 2 or more.")
