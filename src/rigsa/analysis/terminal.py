"""The summary as plain text for the terminal, from summary.csv alone: no library is loaded."""

import csv
import textwrap

from rigsa.analysis import roles
from rigsa.analysis.text import NOTHING, SIGNIFICANT, fall_key, percent, show_share
from rigsa.errors import FileError
from rigsa.paths import ResultPaths
from rigsa.study import Benchmark, Study

WIDTH = 100
GAP = "  "
SMALLEST_TITLE = 16


def summary(study: Study, paths: ResultPaths, width: int = WIDTH) -> str:
    """At most `width` columns; what does not fit is left out from the right, and said so."""
    path = paths.table("summary")[0]
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["source"] == "study"]
        target, sources = roles.target_benchmark(study), roles.source_benchmarks(study)
        columns = [
            ["", *(row["model"] for row in rows)],
            ["Density", *(_share(row["density"]) for row in rows)],
            ["Trained", *(_count(row["parameters"]) for row in rows)],
            *([_title(study, b), *(_score(row, b) for row in rows)] for b in (target, *sources)),
        ]
    except FileNotFoundError:
        raise FileError(f"{path} is missing; the step that makes it has not run.") from None
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(f"{path} is no summary ({error!r}); delete it and run again.") from None
    return _layout(study, columns, width)


def _layout(study: Study, columns: list[list[str]], width: int) -> str:
    heads = [textwrap.wrap(c[0], 13, break_long_words=True) or [""] for c in columns]
    widths = [
        max(map(len, [*head, *column[1:]])) for head, column in zip(heads, columns, strict=True)
    ]
    shown = len(columns)
    while shown > 1 and SMALLEST_TITLE + sum(widths[1:shown]) + len(GAP) * (shown - 1) > width:
        shown -= 1
    widths[0] = min(widths[0], width - sum(widths[1:shown]) - len(GAP) * (shown - 1))
    depth = max(len(head) for head in heads[:shown])
    lines = [
        [([""] * (depth - len(head)) + head)[i] for head in heads[:shown]] for i in range(depth)
    ]
    lines += [list(cells) for cells in zip(*(c[1:] for c in columns[:shown]), strict=True)]
    text = [study.title[:width]]
    for cells in lines:
        first = cells[0] if len(cells[0]) <= widths[0] else cells[0][: widths[0] - 1] + "…"
        rest = [cell.rjust(w) for cell, w in zip(cells[1:], widths[1:], strict=False)]
        text.append(GAP.join([first.ljust(widths[0]), *rest]).rstrip())
    text.insert(1 + depth, "─" * (sum(widths[:shown]) + len(GAP) * (shown - 1)))
    left_out = f" {len(columns) - shown} more columns: summary.md." if shown < len(columns) else ""
    note = (
        "% ± standard error; * fell below its own base (paired, p < 0.05 after Holm's correction)."
    )
    return "\n".join([*text, *textwrap.wrap(note + left_out, width)])


def _title(study: Study, benchmark: Benchmark) -> str:
    return roles.benchmark_title(study, benchmark)


def _share(text: str) -> str:
    return show_share(float(text)) if text else NOTHING


def _count(text: str) -> str:
    return f"{float(text):,.0f}" if text else NOTHING


def _score(row: dict[str, str], benchmark: Benchmark) -> str:
    if not row[benchmark.name]:
        return NOTHING
    p, fall = row.get(f"{fall_key(benchmark.name)}_p"), row.get(fall_key(benchmark.name))
    fell = bool(p and fall) and float(p) < SIGNIFICANT and float(fall) > 0
    score = percent(float(row[benchmark.name]) / 100)
    error = row[f"{benchmark.name}_se"]
    # The column of stars is kept free, so that the numbers stand below each other.
    return score + (f"±{percent(float(error) / 100)}" if error else "") + ("*" if fell else " ")
