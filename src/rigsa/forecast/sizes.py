"""How many items a task has and how long they are: from its data where there, else the catalogue.

The target task's rows are counted as training sees them, if tokenizer and data are there; lengths
of the others, and of all before any data are made, stand in the catalogue (`forecast:`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rigsa.catalog import CATALOG
from rigsa.errors import ConfigError
from rigsa.files import read_json
from rigsa.paths import ResultPaths
from rigsa.study import Benchmark, Study

# Enough for a mean that is right to a token.
COUNTED_ROWS = 50


@dataclass(frozen=True)
class TaskSize:
    """Items of the training and the asked split, and tokens of one.

    Args:
        prompt: of a question without examples, the chat's frame included.
        answer: of an answer, in training and in an example.
        choices: answers that are scored for each question; 0 where it generates.
        new_tokens: that a batch generates before its last row ends.
    """

    train: int
    test: int
    prompt: float
    answer: float
    choices: int
    new_tokens: int

    @property
    def row(self) -> float:
        """Tokens of a training row."""
        return self.prompt + self.answer

    def asked(self, benchmark: Benchmark) -> tuple[int, float]:
        """Items that a benchmark asks, and tokens of each before the answer."""
        items = self.test if benchmark.limit is None else min(self.test, benchmark.limit)
        return items, self.prompt + benchmark.fewshot * self.row


def task_size(study: Study, paths: ResultPaths, task: str) -> TaskSize:
    """Raises ConfigError where neither data nor catalogue say it."""
    entry = study.task_entries[task]
    given = entry.get("forecast")
    if given is None:
        raise ConfigError(
            f"{CATALOG}/tasks.yaml: {task} lacks the key 'forecast', which says how long its items "
            "are; copy that of a similar task and change its numbers."
        )
    info = paths.task(task) / "info.json"
    counts = read_json(info)["counts"] if info.is_file() else {}
    counts = {**given.get("items", {}), **entry.get("counts", {}), **counts}
    size = TaskSize(
        train=counts.get("train", 0),
        test=counts.get("test") or counts.get("validation", 0),
        prompt=given["prompt"],
        answer=given["answer"],
        choices=given.get("choices", 0),
        new_tokens=given.get("new_tokens", 0),
    )
    if size.test == 0:
        raise ConfigError(
            f"{CATALOG}/tasks.yaml: {task} says nowhere how many items it has; add "
            f"{task}.forecast.items.test, or make its data first."
        )
    if task == study.target_task:
        prompt = counted_prompt(paths.base_model(study.base_model), paths.task(task))
        size = size if prompt is None else replace(size, prompt=prompt)
    return size


def counted_prompt(base_model: Path, task_data: Path) -> float | None:
    """Mean tokens of the target task's prompts; None where model folder or data are not there."""
    rows, tokenizer_file = task_data / "train.jsonl", base_model / "tokenizer.json"
    template = _chat_template(base_model)
    if template is None or not rows.is_file() or not tokenizer_file.is_file():
        return None
    from jinja2 import Template
    from tokenizers import Tokenizer

    from rigsa.tasks.textual_digits import ANSWER_OPENING, messages

    tokenizer, chat = Tokenizer.from_file(str(tokenizer_file)), Template(template)
    lengths = []
    with rows.open() as file:
        for line, _ in zip(file, range(COUNTED_ROWS), strict=False):
            question = messages(json.loads(line))[:-1]
            text = chat.render(messages=question, add_generation_prompt=True) + ANSWER_OPENING
            lengths.append(len(tokenizer.encode(text, add_special_tokens=False)))
    return fmean(lengths) if lengths else None


def _chat_template(base_model: Path) -> str | None:
    """Where Hugging Face folders have it: in a file of its own, or in tokenizer_config.json."""
    file, config = base_model / "chat_template.jinja", base_model / "tokenizer_config.json"
    if file.is_file():
        return file.read_text()
    settings: Mapping[str, Any] = read_json(config) if config.is_file() else {}
    template = settings.get("chat_template")
    return template if isinstance(template, str) else None
