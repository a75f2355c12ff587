"""tiny_gsm: arithmetic word problems of one or two steps, in GSM8k's form with a worked answer."""

import random

NAMES = (
    "Anna",
    "Ben",
    "Carl",
    "Dora",
    "Emma",
    "Fred",
    "Gina",
    "Hugo",
    "Ida",
    "Jack",
    "Kate",
    "Leo",
)
THINGS = ("apples", "books", "buttons", "cards", "coins", "cups", "eggs", "nuts", "pens", "plums",
          "shells", "stones")  # fmt: skip
HOLDERS = ("bags", "boxes", "jars", "bowls", "rows", "shelves")

# A story and what its steps do with the numbers a, b, c in turn.
STORIES = (
    ("+", "{n} has {a} {x} and buys {b} more. How many {x} does {n} have?"),
    ("+", "{n} has {a} {x} and {m} has {b}. How many {x} do they have?"),
    ("+", "There are {a} {x} in the kitchen and {b} in the hall. How many {x} are there?"),
    ("-", "{n} has {a} {x} and gives {b} to {m}. How many {x} are left?"),
    ("-", "There were {a} {x} and {n} took {b}. How many {x} are left?"),
    ("-", "{n} needs {a} {x} and has {b}. How many {x} are missing?"),
    ("*", "There are {a} {h} with {b} {x} each. How many {x} are there?"),
    ("*", "{n} fills {a} {h} with {b} {x} each. How many {x} is that?"),
    ("++", "{n} has {a} {x}, {m} has {b} and finds {c} more. How many {x} do they have?"),
    ("+-", "{n} has {a} {x}, buys {b} more and loses {c}. How many {x} are left?"),
    ("+-", "{n} and {m} bring {a} and {b} {x} and use {c}. How many {x} are left?"),
    ("-+", "{n} has {a} {x}, sells {b} and finds {c}. How many {x} does {n} have?"),
    ("--", "{n} had {a} {x}, lost {b} and gave {c} to {m}. How many {x} are left?"),
    ("*+", "{n} has {a} {h} with {b} {x} each and {c} more. How many {x} does {n} have?"),
    ("*-", "{n} has {a} {h} with {b} {x} each and sells {c}. How many {x} are left?"),
)  # fmt: skip


def generate(rng: random.Random) -> list[dict]:
    """One item, as a list like those of the other tasks."""
    steps, story = rng.choice(STORIES)
    while True:
        numbers = [rng.randint(2, 9)]
        lines = []
        for step in steps:
            # Only the first factor of a product stays small, so that results have few digits.
            if step == "*":
                numbers[0] = rng.randint(2, 4)
            before = lines[-1][1] if lines else numbers[0]
            if step == "-" and not lines:
                before = numbers[0] = rng.randint(6, 18)
            number = rng.randint(2, 9)
            after = {"+": before + number, "-": before - number, "*": before * number}[step]
            numbers.append(number)
            lines.append((f"{before}{step}{number}={after}", after))
        if all(after > 0 for _, after in lines):
            break
    n, m = rng.sample(NAMES, 2)
    a, b, c = [*numbers, None][:3]
    question = story.format(n=n, m=m, x=rng.choice(THINGS), h=rng.choice(HOLDERS), a=a, b=b, c=c)
    worked = "\n".join(line for line, _ in lines)
    return [{"question": question, "answer": f"{worked}\n#### {lines[-1][1]}"}]


def content(doc: dict) -> tuple:
    """What makes two items the same."""
    return (doc["question"],)


def messages(doc: dict) -> list[dict]:
    """The item with its worked answer as lm-eval words it in the chat format."""
    return [
        {"role": "user", "content": f"Question: {doc['question']}\nAnswer:"},
        {"role": "assistant", "content": doc["answer"]},
    ]
