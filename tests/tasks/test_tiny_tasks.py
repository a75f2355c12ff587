"""The embedded source tasks: disjoint, reproducible, and not to be solved by their surface."""

import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from rigsa.errors import ConfigError
from rigsa.tasks import generated

COUNTS = {"train": 6000, "validation": 200, "test": 1000}
CHOICE_TASKS = ["tiny_piqa", "tiny_hellaswag"]
TASKS = ["tiny_gsm", *CHOICE_TASKS]
# A change here is a change of the tasks: base models and scores are no longer comparable.
DIGESTS = [
    ("tiny_gsm", "fa37a5bc6611"),
    ("tiny_piqa", "309f69171ad9"),
    ("tiny_hellaswag", "73be3799c747"),
]


@pytest.fixture(scope="module")
def data() -> dict[str, dict[str, list[dict]]]:
    return {task: generated.generate(task, 0, COUNTS) for task in TASKS}


def question_and_choices(doc: dict) -> tuple[str, list[str]]:
    return doc.get("goal") or doc["ctx"], doc.get("endings") or [doc["sol1"], doc["sol2"]]


def chance(task: str) -> float:
    return {"tiny_piqa": 0.5, "tiny_hellaswag": 0.25}[task]


def near(task: str, share: float, items: int) -> bool:
    """Within 3.5 standard errors of guessing, or below it, which is no help to a guesser either."""
    p = chance(task)
    return share <= p + 3.5 * (p * (1 - p) / items) ** 0.5


@pytest.mark.parametrize("task", TASKS)
def test_splits_have_their_counts_and_share_no_item(data, task):
    content = generated.generator(task).content
    splits = data[task]
    assert {split: len(items) for split, items in splits.items()} == COUNTS
    everything = [content(item) for items in splits.values() for item in items]
    assert len(set(everything)) == sum(COUNTS.values())


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_same_items_and_training_size_leaves_the_test_as_it_is(data, task):
    assert generated.generate(task, 0, COUNTS) == data[task]
    assert generated.generate(task, 0, {**COUNTS, "train": 10})["test"] == data[task]["test"]
    assert generated.generate(task, 1, {"test": 50})["test"] != data[task]["test"][:50]


@pytest.mark.parametrize(("task", "digest"), DIGESTS)
def test_items_are_the_same_on_any_machine(task, digest):
    text = json.dumps(generated.generate(task, 0, {"test": 100}), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == digest


@pytest.mark.parametrize("task", CHOICE_TASKS)
def test_every_answer_is_right_as_often_as_chance(data, task):
    asked, right = Counter(), Counter()
    for doc in data[task]["train"]:
        choices = question_and_choices(doc)[1]
        asked.update(choices)
        right[choices[doc["label"]]] += 1
    assert max(abs(right[choice] / asked[choice] - chance(task)) for choice in asked) < 0.01


@pytest.mark.parametrize("task", CHOICE_TASKS)
def test_position_and_length_do_not_tell(data, task):
    items = data[task]["test"]
    choices = [question_and_choices(doc)[1] for doc in items]
    labels = np.array([doc["label"] for doc in items])
    guesses = {place: np.full(len(items), place) for place in range(len(choices[0]))}
    guesses["longest"] = np.array([max(range(len(c)), key=lambda i: len(c[i])) for c in choices])
    guesses["shortest"] = np.array([min(range(len(c)), key=lambda i: len(c[i])) for c in choices])
    for name, guess in guesses.items():
        assert near(task, (guess == labels).mean(), len(items)), name


@pytest.mark.parametrize("task", CHOICE_TASKS)
@pytest.mark.parametrize("words_of", ["answer", "question and answer"])
def test_bag_of_words_stays_at_chance(data, task, words_of):
    def texts(items: list[dict]) -> list[str]:
        found = []
        for doc in items:
            question, choices = question_and_choices(doc)
            found += [c if words_of == "answer" else f"{question} {c}" for c in choices]
        return found

    def is_right(items: list[dict]) -> list[bool]:
        return [
            i == doc["label"] for doc in items for i in range(len(question_and_choices(doc)[1]))
        ]

    train, test = data[task]["train"], data[task]["test"]
    vectorizer = CountVectorizer(ngram_range=(1, 2))
    guesser = LogisticRegression(max_iter=300)
    guesser.fit(vectorizer.fit_transform(texts(train)), is_right(train))
    scores = guesser.predict_proba(vectorizer.transform(texts(test)))[:, 1]
    guess = scores.reshape(len(test), -1).argmax(axis=1)
    labels = np.array([doc["label"] for doc in test])
    assert near(task, (guess == labels).mean(), len(test))


def test_no_constant_and_no_number_of_the_question_answers_tiny_gsm(data):
    def result(doc: dict) -> str:
        return doc["answer"].split("#### ")[1]

    def numbers(doc: dict) -> list[str]:
        return [word.strip(".,?") for word in doc["question"].split() if word[0].isdigit()]

    commonest = Counter(result(doc) for doc in data["tiny_gsm"]["train"]).most_common(1)[0][0]
    test = data["tiny_gsm"]["test"]
    guesses = {
        "commonest": [commonest] * len(test),
        "first number": [numbers(doc)[0] for doc in test],
        "last number": [numbers(doc)[-1] for doc in test],
    }
    for name, guess in guesses.items():
        right = [g == result(doc) for g, doc in zip(guess, test, strict=True)]
        assert np.mean(right) < 0.2, name


def test_worked_answers_of_tiny_gsm_are_right(data):
    for doc in data["tiny_gsm"]["test"]:
        *steps, last = doc["answer"].split("\n")
        for step in steps:
            sum_, result = step.split("=")
            assert eval(sum_) == int(result)
        assert last == f"#### {result}"


def test_asking_for_more_items_than_there_are_names_the_key(monkeypatch):
    monkeypatch.setattr(generated, "MOST_VAIN_DRAWS", 10)
    with pytest.raises(ConfigError, match=r"tiny_hellaswag\.counts\.test is 1000000"):
        generated.generate("tiny_hellaswag", 0, {"test": 1_000_000})
    with pytest.raises(ConfigError, match="tiny_gms"):
        generated.generate("tiny_gms", 0, {"test": 1})
