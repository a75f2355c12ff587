"""Panels of scores, one a benchmark: base and chance behind, on a range that shows differences."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from rigsa.analysis import roles
from rigsa.analysis.figures import style, typeset
from rigsa.analysis.scores import Scores
from rigsa.analysis.statistics import Estimate
from rigsa.study import Arm, Benchmark, Study

SMALLEST_SPAN = 10.0  # points: less would blow up noise
CHANCE = {"color": "#444444", "linewidth": 0.8, "linestyle": (0, (1, 2))}


@dataclass
class Panel:
    """One benchmark's axes, with what is drawn on them, in percent."""

    axes: Axes
    benchmark: Benchmark
    points: list[Estimate] = field(default_factory=list)
    bands: list[tuple[Arm, Estimate]] = field(default_factory=list)
    chance: float | None = None
    chance_shown: bool = False

    def plot(
        self, x: Sequence[float], scores: Sequence[Estimate], look: style.Look, line: bool
    ) -> None:
        """Scores with their standard errors; joined if `line`."""
        self.points += scores
        self.axes.errorbar(
            x,
            [100 * score.value for score in scores],
            yerr=[100 * (score.error or 0) for score in scores],
            color=look.color,
            marker=look.marker,
            linestyle=look.line if line else "none",
            elinewidth=0.8,
            markeredgecolor="white",
            markeredgewidth=0.4,
            zorder=3,
        )

    def finish(self, looks: dict[str, style.Look]) -> None:
        """Sets the range by the points and draws what lies behind them where it is within reach.

        What a source task falls from is always shown. A base or chance that lies further below
        than all that wide would press the points together: it is named at the edge instead.
        """
        values = [100 * p.value + s * 100 * (p.error or 0) for p in self.points for s in (-1, 1)]
        if not values:
            return
        behind = [(100 * s.value, 100 * (s.error or 0), arm) for arm, s in self.bands]
        if self.chance is not None:
            behind.append((100 * self.chance, 0.0, None))
        behind.sort(key=lambda item: -item[0])
        values += [value for value, _, arm in behind if arm is not None and value > max(values)]
        reach = min(values) - max(max(values) - min(values), SMALLEST_SPAN)
        # The strip for the names of what is left out may reach what was left out.
        while behind and behind[0][0] >= min(reach, limits(values, strip=True)[0]):
            value, error, arm = behind.pop(0)
            values += [value - error, value + error]
            self._draw(value, error, arm, looks)
        self._range(values, [f"{a.title if a else 'chance'} {v:.3g} %" for v, _, a in behind])

    def _draw(
        self, value: float, error: float, arm: Arm | None, looks: dict[str, style.Look]
    ) -> None:
        if arm is None:
            self.axes.axhline(value, **CHANCE)
            self.chance_shown = True
            return
        color = looks[arm.name].color
        self.axes.axhspan(value - error, value + error, color=color, alpha=0.18, linewidth=0)
        self.axes.axhline(value, color=color, linewidth=0.9)

    def _range(self, values: Sequence[float], below: Sequence[str]) -> None:
        bottom, top = limits(values)
        ticks = MaxNLocator(nbins=7, steps=[1, 2, 5, 10]).tick_values(bottom, top)
        self.axes.set_yticks([tick for tick in ticks if max(bottom, 0) <= tick <= min(top, 100)])
        self.axes.set_ylim(limits(values, strip=bool(below)))
        if below:
            self.axes.text(
                0.015,
                0.02,
                "↓ " + "; ".join(below),
                transform=self.axes.transAxes,
                fontsize=6,
                color="#555555",
                va="bottom",
            )


def limits(values: Sequence[float], *, strip: bool = False) -> tuple[float, float]:
    """Range of an axis in percent that holds `values`, with a strip for a note below if wanted."""
    lowest, highest = min(values), max(values)
    missing = max(SMALLEST_SPAN - (highest - lowest), 0) / 2
    margin = 0.07 * max(highest - lowest, SMALLEST_SPAN)
    # Beyond 0 and 100 only as far as a marker needs.
    top = min(highest + missing + margin, max(100, highest) + margin / 2)
    bottom = max(lowest - missing - margin, min(0, lowest) - margin / 2)
    return bottom - (0.13 * (top - bottom) if strip else 0), top


def grid(study: Study, scores: Scores, bases: Sequence[Arm]) -> tuple[Figure, list[Panel]]:
    """The target task's panel, then the source tasks', lettered, with the bases' scores behind."""
    benchmarks = [roles.target_benchmark(study), *roles.source_benchmarks(study)]
    columns = 2 if len(benchmarks) <= 4 else 3
    rows = -(-len(benchmarks) // columns)
    figure = style.figure(study, rows=rows)
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    panels = []
    for place, (axes, benchmark) in enumerate(zip(all_axes, benchmarks, strict=False)):
        axes.set_title(f"({chr(97 + place)}) {roles.benchmark_title(study, benchmark)}")
        axes.set_ylabel("Correct answers (%)" if place % columns == 0 else "")
        panel = Panel(axes, benchmark, chance=study.task_entries[benchmark.task].get("chance"))
        for base in bases:
            score = scores.estimate(base, 0, benchmark)
            if score is not None:
                panel.bands.append((base, score))
        panels.append(panel)
    for axes in all_axes[len(benchmarks) :]:
        axes.remove()
    return figure, panels


def legend(
    figure: Figure,
    looks: dict[str, style.Look],
    entries: Sequence[tuple[str, str, bool]],
    bases: Sequence[Arm] = (),
    *,
    chance: bool = False,
    others: Sequence[tuple[str, Line2D]] = (),
) -> None:
    """Above the figure. `entries` are arm name, title and whether its points are joined."""
    handles = [
        Line2D(
            [],
            [],
            color=looks[name].color,
            marker=looks[name].marker,
            linestyle=looks[name].line if line else "none",
            markeredgecolor="white",
            markeredgewidth=0.4,
            label=title,
        )
        for name, title, line in entries
    ]
    labels = [handle.get_label() for handle in handles]
    for base in bases:
        color = looks[base.name].color
        line = Line2D([], [], color=color, linewidth=0.9)
        handles.append((Patch(color=color, alpha=0.18, linewidth=0), line))
        labels.append(base.title)
    if chance:
        handles.append(Line2D([], [], **CHANCE))
        labels.append("Chance")
    for title, line in others:
        handles.append(line)
        labels.append(title)
    size = style.LEGEND
    widest = max(typeset.width(text, size) for text in labels) + 5 * size
    columns = min(len(labels), max(1, int(72 * figure.get_figwidth() / widest)))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
