"""tiny_piqa: which of two everyday things suits a purpose? Physical commonsense in PIQA's form.

Every thing has a grade from 0 to 9 in each of eight properties. A purpose wants much or little of
one of them: right is a thing that is good for it, wrong one that is clearly worse. The choices are
not in the question, so the grades must be known from training. Each pair is asked about twice, for
a purpose of the one and for a purpose of the other: everything is right exactly as often as it is
wrong, and only thing and purpose together tell, which a bag of words cannot see.
"""

import random

# Right is a thing of at least this grade (counted from the wanted end) ...
GOOD_GRADE = 5
# ... and wrong one that is this much worse, so it may well be right beside a still worse one.
SMALLEST_GAP = 2
# How much rarer a right thing is for each grade below 9. Nearer to 1, good and better things are as
# often right, the model's preference for the better is slighter, and it is lost sooner.
RARER_A_GRADE = 0.5

# For each property: purposes for which much of it is good, purposes for which little of it is.
PURPOSES = {
    "weight": (
        ("hold a door open with", "sink a net with", "tie a balloon to"),
        ("carry up a hill", "send by post", "hang from a thread"),
    ),
    "hardness": (
        ("crack a nut with", "knock on a wall with", "scratch a table with"),
        ("rest your head on", "pad a crate with", "tickle a baby with"),
    ),
    "size": (
        ("hide behind", "fill a corner with", "block a path with"),
        ("slip into a pocket", "lose in the grass", "keep in a fist"),
    ),
    "price": (
        ("offer as a prize", "insure against theft", "pawn for cash"),
        ("give away gladly", "buy with pennies", "replace at once"),
    ),
    "toughness": (
        ("drop from a roof", "trust to rough hands", "use for years"),
        ("wrap before a move", "fear to break", "keep off a wobbly shelf"),
    ),
    "burning": (
        ("start a fire with", "feed a stove with", "make a torch from"),
        ("leave beside sparks", "put into an oven", "pull from hot ash unharmed"),
    ),
    "soaking": (
        ("wipe up milk with", "mop a puddle with", "dry a wet dog with"),
        ("leave out in the rain", "take into the shower", "keep by the pool"),
    ),
    "noise": (
        ("wake the street with", "scare crows with", "call for help with"),
        ("drop in a library", "move at night", "let a sleeper hold"),
    ),
}  # fmt: skip

# Grades in the order of PURPOSES.
THINGS = {
    "apple": "34314232", "basket": "32643732", "bell": "67256018", "blanket": "41834491",
    "book": "54434863", "bottle": "46412005", "bowl": "46422106", "box": "23616854",
    "brick": "89518047", "broom": "43635645", "bucket": "45526117", "candle": "24222803",
    "chair": "66756626", "clock": "56482116", "coat": "52885581", "coin": "18139004",
    "cork": "12103611", "cup": "36322105", "drum": "54794519", "egg": "25211123",
    "feather": "00203510", "glass": "37221006", "glove": "21335471", "hammer": "79449306",
    "hat": "11544561", "kettle": "67566008", "key": "28128004", "knife": "48246004",
    "ladder": "77976418", "lamp": "45673227", "leaf": "01101820", "log": "87606937",
    "mirror": "68775019", "nail": "19119003", "newspaper": "21311962", "pan": "78457008",
    "pencil": "04112712", "phone": "47194204", "pillow": "20622680", "plate": "47332007",
    "pot": "77556108", "radio": "56584317", "ring": "07098003", "rope": "52547751",
    "rug": "61876690", "shoe": "43456543", "sock": "10223460", "spoon": "36138005",
    "sponge": "11213290", "stone": "99409038", "towel": "31525571", "umbrella": "43654225",
    "vase": "56562017", "watch": "26193104",
}  # fmt: skip

NAMES = list(THINGS)
# (which property, whether much of it is wanted)
WANTS = [(which, much) for which in range(len(PURPOSES)) for much in (1, 0)]


def generate(rng: random.Random) -> list[dict]:
    """Two items on one pair of things: a purpose that the one suits, and one for the other."""
    while True:
        one, other = rng.sample(NAMES, 2)
        want, other_want = rng.choice(WANTS), rng.choice(WANTS)
        if (
            _suits(one, other, want)
            and _suits(other, one, other_want)
            and rng.random() < _how_often(one, want) * _how_often(other, other_want)
        ):
            return [_item(rng, want, one, other), _item(rng, other_want, other, one)]


def _grade(thing: str, want: tuple[int, int]) -> int:
    which, much = want
    grade = int(THINGS[thing][which])
    return grade if much else 9 - grade


def _suits(thing: str, other: str, want: tuple[int, int]) -> bool:
    """Whether the thing is good for what is wanted, and the other clearly less so."""
    grade = _grade(thing, want)
    return grade >= GOOD_GRADE and grade - _grade(other, want) >= SMALLEST_GAP


def _how_often(thing: str, want: tuple[int, int]) -> float:
    return RARER_A_GRADE ** (9 - _grade(thing, want))


def _item(rng: random.Random, want: tuple[int, int], right: str, wrong: str) -> dict:
    which, much_wanted = want
    much, little = list(PURPOSES.values())[which]
    purpose = rng.choice(much if much_wanted else little)
    label = rng.randrange(2)
    first, second = (right, wrong) if label == 0 else (wrong, right)
    return {
        "goal": f"What would you {purpose}?",
        "sol1": f"The {first}.",
        "sol2": f"The {second}.",
        "label": label,
    }


def content(doc: dict) -> tuple:
    """What makes two items the same, whatever the order of their choices."""
    return (doc["goal"], *sorted([doc["sol1"], doc["sol2"]]))


def messages(doc: dict) -> list[dict]:
    """The item with its right answer as lm-eval words it in the chat format."""
    return [
        {"role": "user", "content": f"Question: {doc['goal']}\nAnswer:"},
        {"role": "assistant", "content": doc["sol2"] if doc["label"] else doc["sol1"]},
    ]
