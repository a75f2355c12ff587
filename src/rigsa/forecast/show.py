"""The forecast as text for a terminal."""

import textwrap
from collections.abc import Sequence

from rigsa.analysis.text import NOTHING
from rigsa.forecast import setting as limits
from rigsa.forecast import speed
from rigsa.forecast.cards import GIB
from rigsa.forecast.jobs import MOST_ROWS, Job
from rigsa.forecast.measured import Comparison
from rigsa.forecast.plan import Group, Plan

WIDTH = 110
GAP = "  "
HEAD = (
    "", "Jobs", "Trained", "At batch 1", "Peak", "Fits", "Rows fit",
    "Training", "Evaluation", "Disk",
)  # fmt: skip
TAKEN = ("train", "evaluate")
UNITS = ("", "", "", "GiB", "GiB", "", "train/ask", "hours", "hours", "GB")


def show_plan(plan: Plan) -> str:
    """A line for each arm's step, totals, what does not fit, and what was assumed."""
    groups = plan.groups
    rows = [HEAD, UNITS, None, *(_row(plan, group) for group in groups), None]
    whole = Group("Total", plan.jobs)
    rows.append(
        ("Total", str(len(plan.jobs)), "", "", "", "", "", *_hours(whole), _disk(whole.disk_bytes))
    )
    setting = plan.setting
    memory = f"{setting.card.memory / GIB:.0f} GiB"
    title = f"{setting.study.title} on {setting.card.name} ({memory}), {setting.precision}"
    misfits = plan.misfits or ["Every job fits."]
    parts = [title, table(rows), *map(_wrapped, misfits), *map(_wrapped, _assumptions(plan))]
    return "\n".join(parts)


def show_measured(comparisons: Sequence[Comparison], plan: Plan) -> str:
    """A line for each arm's step that has results: seconds and peak, forecast and measured."""
    pair = ("forecast", "measured", "ratio")
    rows = [
        ("", "Training", "", "", "Peak memory", "", "", "Evaluation", "", ""),
        ("", *pair, "forecast", "MiB", "ratio", *pair),
        None,
    ]  # fmt: skip
    for group in plan.groups:
        mine = [c for c in comparisons if c.job in group.jobs]
        if mine:
            rows.append((group.title, *_compared(mine, plan)))
    rows += [None, ("All", *_compared(comparisons, plan))]
    note = (
        "Forecast against measured, in seconds of the work itself (loading left out) and in MiB; "
        "ratio: forecast / measured. Results do not say what they ran on: compare those of this "
        "device."
    )
    return "\n".join([table(rows), _wrapped(note)])


def table(rows: Sequence[Sequence[str] | None]) -> str:
    """Aligned columns, the first to the left; None is a rule."""
    cells = [row for row in rows if row is not None]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    line = "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    text = []
    for row in rows:
        if row is None:
            text.append(line)
            continue
        rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        text.append(GAP.join([row[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join(text)


def _row(plan: Plan, group: Group) -> tuple[str, ...]:
    trainings, evaluations = group.of("train"), group.of("evaluate")
    heavy = [job for job in group.jobs if job.most_rows is not None]
    trained = f"{trainings[0].trained:,}" if trainings else NOTHING
    at_one = max((_at_one(plan, job) for job in heavy), default=None)
    peak = max((plan.tensors(job) for job in heavy), default=None)
    fits = "yes" if all(map(plan.fits, heavy)) else "NO"
    rows = "/".join(_rows(jobs) for jobs in (trainings, evaluations)) if heavy else NOTHING
    return (
        group.title, str(len(group.jobs)), trained, _gib(at_one), _gib(peak),
        fits if heavy else NOTHING, rows, *_hours(group), _disk(group.disk_bytes),
    )  # fmt: skip


def _at_one(plan: Plan, job: Job) -> int:
    return job.bytes_at_one if job.bytes_at_one else plan.tensors(job)


def _rows(jobs: Sequence[Job]) -> str:
    if not jobs:
        return NOTHING
    most = min(job.most_rows for job in jobs)
    return f"{most}+" if most >= MOST_ROWS else str(most)


def _hours(group: Group) -> tuple[str, str]:
    making = group.hours("train", "select_mask", "base_model", "task_data")
    asking = group.hours("evaluate")
    return _number(making), _number(asking)


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _gib(value: int | None) -> str:
    return (
        NOTHING if value is None else f"{value / GIB:.1f}" if value > GIB else f"{value / GIB:.2f}"
    )


def _disk(value: int) -> str:
    return f"{value / 1e9:.2f}" if value >= 1e7 else f"{value / 1e9:.3f}"


def _compared(comparisons: Sequence[Comparison], plan: Plan) -> tuple[str, ...]:
    trainings = [c for c in comparisons if c.job.rule == "train"]
    evaluations = [c for c in comparisons if c.job.rule == "evaluate"]
    return (*_seconds(trainings), *_peaks(trainings, plan), *_seconds(evaluations))


def _seconds(comparisons: Sequence[Comparison]) -> tuple[str, str, str]:
    forecast = sum(c.job.seconds for c in comparisons)
    taken = sum(c.seconds for c in comparisons)
    return _pair(forecast, taken, 1)


def _peaks(comparisons: Sequence[Comparison], plan: Plan) -> tuple[str, str, str]:
    """The largest; on a CPU the whole process is measured, so it is what is forecast."""
    on_cpu = plan.setting.card.is_cpu
    forecast = max(
        (c.job.host_bytes // c.job.gpus if on_cpu else c.job.device_bytes for c in comparisons),
        default=0,
    )
    return _pair(forecast / 2**20, max((c.peak_bytes for c in comparisons), default=0) / 2**20, 0)


def _pair(forecast: float, taken: float, digits: int) -> tuple[str, str, str]:
    if not taken:
        return (NOTHING,) * 3
    return f"{forecast:.{digits}f}", f"{taken:.{digits}f}", f"{forecast / taken:.2f}"


def _assumptions(plan: Plan) -> list[str]:
    setting, card = plan.setting, plan.setting.card
    size = setting.sizes[setting.study.target_task]
    kept = "computed again in backward" if setting.recompute else "kept for backward"
    if card.is_cpu:
        rates = (
            f"{100 * speed.CPU_SHARE:.0f} % of {card.flops / 1e9:.0f} GFLOP/s and "
            f"{card.bandwidth / 1e9:.0f} GB/s, measured here or given"
        )
    else:
        rates = (
            f"{100 * speed.TRAINING_SHARE:.0f} % (training) and "
            f"{100 * speed.EVALUATION_PART * speed.TRAINING_SHARE:.0f} % (evaluation) of "
            f"{card.flops / 1e12:.0f} TFLOP/s, {100 * speed.BANDWIDTH_SHARE:.0f} % of "
            f"{card.bandwidth / 1e9:.0f} GB/s"
        )
    if setting.precision == "float32" and not card.is_cpu:
        rates += " (its bfloat16 rate, which float32 does not reach: hours are too few)"
    several = sorted({job.gpus for job in plan.jobs} - {1})
    shared = (
        f" A training with gpus: {' or '.join(map(str, several))} is counted by card: each has "
        f"{'a part of' if setting.shard_base_model else 'all of'} the frozen model and a part of "
        "every batch, and what goes from card to card takes no time."
        if several
        else ""
    )
    state = _disk(max(job.state_bytes for job in plan.jobs))
    taken = [sum(job.taken and job.rule == rule for job in plan.jobs) for rule in TAKEN]
    shared += (
        f" {taken[0]} trainings and {taken[1]} evaluations are those of another arm or of a trial, "
        "and take no time."
        if any(taken)
        else ""
    )
    return [
        f"Assumed: {rates}; {1e6 * speed.OPERATION_SECONDS:.0f} µs to start an operation; "
        f"{speed.START_SECONDS:.0f} s and the reading of the weights before every job.",
        f"{size.train:,} training rows of {size.row:.0f} tokens; micro_batch_size "
        f"{setting.micro_batch_size}, eval_batch_size {setting.eval_batch_size}; activations "
        f"{kept}; {100 * limits.FRAGMENTS:.0f} % of memory lost to fragments. Hours are those of "
        f"one job after the other.{shared}",
        f"While it trains, a job keeps up to {state} GB more on the disk, to go on from.",
    ]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH)
