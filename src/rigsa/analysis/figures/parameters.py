"""Figure 4: what the target task costs in trainable parameters, for all adapters."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from rigsa.analysis import roles, scores
from rigsa.analysis.figures import panels, style
from rigsa.analysis.figures.curves import curves
from rigsa.analysis.figures.labels import Labels
from rigsa.paths import ResultPaths
from rigsa.study import Study


def draw(study: Study, paths: ResultPaths) -> Figure:
    drawn = curves(study)
    if not drawn:
        return style.sentence(study, f"The study {study.name} trains no adapter.")
    measured, looks = scores.read(study, paths), style.looks(study)
    target = roles.target_benchmark(study)
    figure = style.figure(study, columns=1 if len(drawn) <= style.CROWD else 2, rows=1.35)
    panel = panels.Panel(figure.subplots(), target)
    labels = Labels(panel.axes)
    for curve in drawn:
        points = []
        for (arm, step), text in zip(curve.points, curve.labels, strict=True):
            score = measured.estimate(arm, step, target)
            size = measured.number(arm, step, "trainable_parameters")
            if score is not None and size:
                points.append((size, score, text))
        if points:
            look = looks[curve.arm.name]
            sizes, values, _ = zip(*points, strict=True)
            panel.plot(sizes, values, look, line=len(points) > 1)
            for size, value, text in points:
                labels.add(size, 100 * value.value, text, look)
    panel.axes.set_xscale("log")
    panel.axes.margins(x=0.08)
    _count_axis(panel.axes)
    panel.axes.set_xlabel("Trainable parameters (log scale)")
    panel.axes.set_ylabel(f"{roles.benchmark_title(study, target)}: correct answers (%)")
    panel.finish(looks)
    entries = [(curve.arm.name, curve.title, len(curve.points) > 1) for curve in drawn]
    panels.legend(figure, looks, entries)
    labels.draw()
    return figure


def _count_axis(axes: Axes) -> None:
    """1 k, 10 k, 100 k, 1 M; also 2 and 5 of them where sizes are near each other."""
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high > 100 * low else (1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: short_count(size)))


def short_count(size: float) -> str:
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:.3g} {letter}"
    return f"{size:.3g}"
