"""One function from a model in memory and a task to its score and every single answer."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from rigsa.collector import importing
from rigsa.evaluation.harness import go_offline, harness

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rigsa.evaluation.batching import BatchSize
    from rigsa.evaluation.kept_answers import KeptAnswers

# lm-eval's own default, so that its command line draws the same examples.
FEWSHOT_SEED = 1234


@dataclass(frozen=True)
class Evaluation:
    """What came out. `score`, `stderr` and each sample's "score" are of the task's first metric."""

    task: str
    fewshot: int
    metric: str
    score: float
    stderr: float
    metrics: Mapping[str, float]
    samples: tuple[Mapping[str, Any], ...]
    seconds: float

    @property
    def n(self) -> int:
        return len(self.samples)


def evaluate(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    task: str,
    data_files: Mapping[str, str] | None = None,
    fewshot: int = 0,
    limit: int | None = None,
    chat: bool = True,
    batch_size: "int | BatchSize" = 64,
    seed: int = FEWSHOT_SEED,
    metric: str | None = None,
    sampler: str | None = None,
    kept: "KeptAnswers | None" = None,
) -> Evaluation:
    """Asks the model all items of an lm-eval task, ours or stock, as lm-eval's command line would.

    `model` may be any causal language model, wrapped by PEFT or not. `data_files` are JSON-lines
    files by split; `limit` takes the first items only; `chat` applies the chat template, with
    few-shot examples as earlier turns; `seed` draws the few-shot examples; `metric` is the one that
    counts (default: the task's first); `sampler` is lm-eval's way to choose the examples (default:
    the task's own; "first_n" shows every item the same ones, which are then read once).
    `batch_size` items are asked at a time, and fewer where memory does not suffice. Answers are
    kept in `kept` as they come, and those that are there already are not asked again.
    Raises ConfigError for an unknown task or metric, a missing split, or a prompt longer than the
    model's room, FileError for a data file that cannot be read, and RigsaError where a single item
    does not fit into memory.
    """
    go_offline()
    with importing():
        from lm_eval import evaluator

        from rigsa.evaluation.batching import BatchSize
        from rigsa.evaluation.language_model import InMemoryLM
        from rigsa.evaluation.samples import sample_rows
        from rigsa.evaluation.task import load_task

    start = time.perf_counter()
    with harness():
        loaded = load_task(task, data_files or {}, fewshot, seed, sampler)
        batches = BatchSize(batch_size) if isinstance(batch_size, int) else batch_size
        # Not simple_evaluate: it describes the machine for 3 s and reads all of lm-eval's tasks.
        outcome = evaluator.evaluate(
            lm=InMemoryLM(model, tokenizer, batches, kept=kept),
            task_dict={"tasks": {task: loaded}},
            limit=limit,
            bootstrap_iters=0,
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
        )
    together = outcome["results"][task]
    main, samples = sample_rows(loaded, outcome["samples"][task], metric)
    names = [name for name, value in samples[0].items() if isinstance(value, float)]
    means = {name: fmean(sample[name] for sample in samples) for name in names}
    score = means.pop("score")
    # Of a perplexity an item has its log-likelihood, and all together its exponential.
    means |= {name: float(of_all) for name in means if (of_all := together.get(f"{name},none"))}
    return Evaluation(
        task=task,
        fewshot=fewshot,
        metric=main,
        score=score,
        stderr=stderr([sample["score"] for sample in samples]),
        metrics=means,
        samples=tuple(samples),
        seconds=time.perf_counter() - start + (kept.seconds if kept else 0.0),
    )


def stderr(scores: list[float]) -> float:
    """Standard error of the mean, as lm-eval computes it; of a single score it is unknown."""
    return stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
