"""Every item's answer and metrics as one plain row, from what lm-eval logs."""

from collections.abc import Mapping
from typing import Any

from rigsa.errors import ConfigError


def sample_rows(
    task: Any, logged: list[dict[str, Any]], metric: str | None
) -> tuple[str, list[dict[str, Any]]]:
    """The name of the main metric, and one row per item in the order of the task.

    A row has doc_id, score (the main metric), response (what the model said; of choices, the
    likeliest), answer (what the task's filter took from it), target, and every metric as a float.
    A task with several filters (gsm8k) logs each item once per filter: metrics of the first filter
    keep their names, those of the others are named as in lm-eval, "exact_match,flexible-extract".
    The main metric is the first one unless `metric` names another. Raises ConfigError where there
    is none of that name.
    """
    first = logged[0]["filter"]
    rows: dict[int, dict[str, Any]] = {}
    for sample in logged:
        doc_id, suffix = sample["doc_id"], ""
        if sample["filter"] == first:
            response, answer, target = _answer(task, sample)
            rows[doc_id] = {
                "doc_id": doc_id,
                "score": 0.0,
                "response": response,
                "answer": answer,
                "target": target,
            }
        else:
            suffix = f",{sample['filter']}"
        rows[doc_id] |= {
            f"{name}{suffix}": float(sample[name])
            for name in sample["metrics"]
            if _number(sample[name])
        }
    ordered = [rows[doc_id] for doc_id in sorted(rows)]
    names = [name for name, value in ordered[0].items() if isinstance(value, float)][1:]
    main = names[0] if metric is None else metric.removesuffix(f",{first}")
    if main not in names:
        raise ConfigError(f"metric is {metric!r}; this task has {', '.join(names)}.")
    for row in ordered:
        row["score"] = row[main]
    return main, ordered


def _number(value: Any) -> bool:
    """Some metrics (f1, perplexities) are pairs that only make sense over all items."""
    return isinstance(value, int | float) or getattr(value, "ndim", None) == 0


def _answer(task: Any, sample: Mapping[str, Any]) -> tuple[str, str, str]:
    target = sample["target"]
    if task.OUTPUT_TYPE == "loglikelihood":
        # Nothing was said: the target was likely to some degree, and may be what would have been.
        said = str(target) if sample["filtered_resps"][0][1] else ""
        return said, said, str(target)
    if task.OUTPUT_TYPE != "multiple_choice":
        return str(sample["resps"][0][0]), str(sample["filtered_resps"][0]), str(target)
    choices = task.doc_to_choice(sample["doc"])
    likelihoods = [likelihood for likelihood, _ in sample["filtered_resps"][: len(choices)]]
    chosen = choices[likelihoods.index(max(likelihoods))]
    return chosen, chosen, choices[target] if isinstance(target, int) else str(target)
