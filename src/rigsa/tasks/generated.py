"""The embedded source tasks as data: train, validation and test items drawn from a seed."""

import random
from collections.abc import Callable
from types import ModuleType

from rigsa.errors import ConfigError
from rigsa.tasks import tiny_gsm, tiny_hellaswag, tiny_piqa

GENERATORS: dict[str, ModuleType] = {
    "tiny_gsm": tiny_gsm,
    "tiny_piqa": tiny_piqa,
    "tiny_hellaswag": tiny_hellaswag,
}

# So many draws in a row without a new item mean that the task has no more of them.
MOST_VAIN_DRAWS = 1_000


def generate(name: str, seed: int, counts: dict[str, int]) -> dict[str, list[dict]]:
    """Items of each split of `counts`, all different; the same on any machine for the same seed.

    A generator makes items in groups in which every answer is right equally often. Groups stay
    whole in one split (but for the last, cut to the count), so each split is balanced in itself.
    Raises ConfigError if the task has fewer different items than asked for.
    """
    task = generator(name)
    rng = random.Random(f"{name}-{seed}")
    taken: set[tuple] = set()
    # Test first: a change of the training size leaves the questions as they were.
    splits = {
        split: _draw(
            task.generate, task.content, rng, counts[split], taken, f"{name}.counts.{split}"
        )
        for split in sorted(counts, key=["test", "validation", "train"].index)
    }
    return {split: splits[split] for split in counts}


def generator(name: str) -> ModuleType:
    """The module that makes this task's items; raises ConfigError for an unknown name."""
    if name not in GENERATORS:
        raise ConfigError(f"generator is {name!r}; it must be one of {', '.join(GENERATORS)}.")
    return GENERATORS[name]


def _draw(
    make: Callable[[random.Random], list[dict]],
    content: Callable[[dict], tuple],
    rng: random.Random,
    count: int,
    taken: set[tuple],
    where: str,
) -> list[dict]:
    items: list[dict] = []
    vain = 0
    while len(items) < count:
        group = make(rng)
        contents = [content(item) for item in group]
        if taken.intersection(contents) or len(set(contents)) < len(group):
            vain += 1
            if vain > MOST_VAIN_DRAWS:
                raise ConfigError(
                    f"{where} is {count}, but only about {len(items)} different items are left; "
                    "ask for fewer."
                )
            continue
        vain = 0
        taken.update(contents)
        items += group
    items = items[:count]
    rng.shuffle(items)
    return items
