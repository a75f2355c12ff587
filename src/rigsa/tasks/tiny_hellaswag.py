"""tiny_hellaswag: how does this person's day go on? A four-way continuation in HellaSwag's form.

Each person does thirteen things a day, always in an own order, day after day. An item names a
person and what was just done; of four endings, all things this person does, the one that comes
first after it is right. Who and what must be known together, from training: all share the same
things in other orders, and a routine has no first or last thing, so every ending is right one time
in four.
"""

import random

PERSONS = {
    "Anna": "she", "Ben": "he", "Carl": "he", "Dora": "she", "Emma": "she", "Fred": "he",
    "Gina": "she", "Hugo": "he", "Ida": "she", "Jack": "he", "Kate": "she", "Leo": "he",
    "Mia": "she", "Noah": "he", "Olga": "she", "Paul": "he",
}  # fmt: skip

THINGS_TO_DO = (
    "bakes the bread", "brushes the horse", "calls the doctor", "cleans the stove",
    "feeds the cat", "folds the sheets", "lights the lamp", "locks the door", "makes the bed",
    "mends the fence", "milks the cow", "opens the window", "packs the bag", "paints the gate",
    "peels the potatoes", "picks the apples", "plays the piano", "reads the paper",
    "sorts the letters", "sweeps the floor", "walks the dog", "washes the car",
    "waters the plants", "winds the clock",
)  # fmt: skip

CONNECTORS = ("Next,", "After that,", "Then", "Now", "Soon", "A little later,")

# More things to do a day, or more persons, fill the model's memory further; and with more things,
# what comes second or third is oftener right, so that the first is preferred by less.
THINGS_A_DAY = 13


def _routines() -> dict[str, list[str]]:
    # The world is fixed: the seed of a data set draws items about it, not another world.
    rng = random.Random("tiny_hellaswag-routines")
    return {person: rng.sample(THINGS_TO_DO, THINGS_A_DAY) for person in PERSONS}


ROUTINES = _routines()


def generate(rng: random.Random) -> list[dict]:
    """Four items on one person and the same four endings, each of which is right once."""
    person = rng.choice(list(PERSONS))
    routine = ROUTINES[person]
    while True:
        places = sorted(rng.sample(range(THINGS_A_DAY), 4))
        following = [*places[1:], places[0] + THINGS_A_DAY]
        gaps = list(zip(places, following, strict=True))
        # What was just done stands in the question, so it must not be an ending as well.
        if all(after - before > 1 for before, after in gaps):
            break
    endings = [f"{routine[place]}." for place in places]
    items = []
    for before, after in gaps:
        done = routine[rng.randrange(before + 1, after) % THINGS_A_DAY]
        shown = rng.sample(endings, len(endings))
        items.append(
            {
                "ctx": f"{person} {done}. {rng.choice(CONNECTORS)} {PERSONS[person]}",
                "endings": shown,
                "label": shown.index(f"{routine[after % THINGS_A_DAY]}."),
            }
        )
    return items


def content(doc: dict) -> tuple:
    """What makes two items the same, whatever the order of their endings."""
    return (doc["ctx"], *sorted(doc["endings"]))


def messages(doc: dict) -> list[dict]:
    """The item with its right ending as lm-eval words it in the chat format."""
    return [
        {"role": "user", "content": doc["ctx"]},
        {"role": "assistant", "content": doc["endings"][doc["label"]]},
    ]
