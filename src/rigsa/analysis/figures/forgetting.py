"""Figure 7: learning against forgetting for every checkpoint, with the Pareto front."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rigsa.analysis import roles, scores
from rigsa.analysis.comparison import Falls
from rigsa.analysis.figures import panels, style
from rigsa.analysis.figures.curves import Curve, curves
from rigsa.analysis.figures.labels import Labels
from rigsa.analysis.statistics import Estimate
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Study

BASE = {"color": style.COLORS["base"], "linewidth": 0.9}
# More than these are told apart by numbers, without the steps that lead to them.
MOST_CURVES = 12
FRONT = {"color": "#999999", "linewidth": 1.0, "linestyle": (0, (3, 2))}


def draw(study: Study, paths: ResultPaths) -> Figure:
    measured, falls = scores.read(study, paths), Falls(study, paths)
    target = roles.target_benchmark(study)
    found: list[tuple[Curve, list[tuple[Estimate, Estimate]], list[str]]] = []
    for curve in curves(study):
        points = [
            (measured.estimate(arm, step, target), mean_fall(falls, arm, step))
            for arm, step in curve.points
        ]
        both = [(p, text) for p, text in zip(points, curve.labels, strict=True) if None not in p]
        if both:
            found.append((curve, [p for p, _ in both], [text for _, text in both]))
    if not found:
        return style.sentence(
            study, f"The study {study.name} has no trained arm whose base is evaluated as well."
        )
    looks, titles = style.looks(study), [curve.title for curve, _, _ in found]
    if len(found) > MOST_CURVES:
        found = [_last(number, *parts) for number, parts in enumerate(found, start=1)]
        titles = [f"{number} {title}" for number, title in enumerate(titles, start=1)]
    rows = 1.5 if len(found) <= MOST_CURVES else 2.4
    figure = style.figure(study, columns=1 if len(found) <= style.CROWD else 2, rows=rows)
    axes = figure.subplots()
    axes.grid(axis="both")
    axes.axhline(0, **BASE)
    everything = [(x.value, y.value) for _, points, _ in found for x, y in points]
    # Where arms are many, those that learnt hardly anything would press the others together.
    left = max(x for x, _ in everything) / 2 if len(found) > MOST_CURVES else 0
    labels = Labels(axes)
    for curve, points, texts in found:
        look = looks[curve.arm.name]
        _draw_curve(axes, [point for point in points if point[0].value >= left], look)
        for (learnt, lost), text in zip(points, texts, strict=True):
            x, y = 100 * max(learnt.value, left), 100 * lost.value
            labels.add(
                x,
                y,
                text if learnt.value >= left else f"{text} at {100 * learnt.value:.0f} %",
                look,
            )
            if learnt.value < left:
                axes.plot(x, y, marker="<", color=look.color, linestyle="none")
    axes.set_xlabel(f"{roles.benchmark_title(study, target)}: correct answers (%)")
    axes.set_ylabel("Mean fall on the source tasks (points)")
    # Little forgetting above, so that better is up and to the right.
    axes.margins(0.07)
    axes.invert_yaxis()
    _draw_front(axes, pareto_front(everything))
    entries = [
        (curve.arm.name, title, len(points) > 1)
        for title, (curve, points, _) in zip(titles, found, strict=True)
    ]
    others = [("Base", Line2D([], [], **BASE)), ("Pareto front", Line2D([], [], **FRONT))]
    panels.legend(figure, looks, entries, others=others)
    labels.draw()
    return figure


def _last(number: int, curve: Curve, points: list, labels: list[str]) -> tuple:
    """A curve with its number at its points; of an arm's steps the last alone."""
    if len({arm.name for arm, _ in curve.points}) == 1:
        return curve, points[-1:], [str(number)]
    return curve, points, [f"{number} {text}" for text in labels]


def mean_fall(falls: Falls, arm: Arm, step: int) -> Estimate | None:
    """Over all source tasks, whose items are independent of each other; None if one is missing."""
    found = [falls.estimate(arm, step, b) for b in roles.source_benchmarks(falls.study)]
    if None in found:
        return None
    error = np.sqrt(sum(fall.error**2 for fall in found)) / len(found)
    return Estimate(float(np.mean([fall.value for fall in found])), float(error))


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (accuracy, fall) those with no other at least as accurate that fell less, by accuracy."""
    front: list[tuple[float, float]] = []
    for accuracy, fall in sorted(set(points), key=lambda point: (-point[0], point[1])):
        if not front or fall < front[-1][1]:
            front.append((accuracy, fall))
    return front[::-1]


def _draw_front(axes: Axes, front: Sequence[tuple[float, float]]) -> None:
    """From the left edge to the bottom: what lies below and left of it is beaten by a point."""
    x, y = (100 * np.array(front)).T
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    axes.step([left, *x, x[-1]], [y[0], *y, bottom], where="pre", zorder=1, **FRONT)
    axes.set(xlim=(left, axes.get_xlim()[1]), ylim=(bottom, axes.get_ylim()[1]))


def _draw_curve(axes: Axes, points: Sequence[tuple[Estimate, Estimate]], look: style.Look) -> None:
    x = [100 * learnt.value for learnt, _ in points]
    y = [100 * lost.value for _, lost in points]
    axes.errorbar(
        x,
        y,
        xerr=[100 * (learnt.error or 0) for learnt, _ in points],
        yerr=[100 * (lost.error or 0) for _, lost in points],
        color=look.color,
        marker=look.marker,
        linestyle=look.line if len(points) > 1 else "none",
        linewidth=0.8,
        elinewidth=0.6,
        capsize=0,
        alpha=0.75,
        markeredgecolor="white",
        markeredgewidth=0.4,
        zorder=3,
    )
