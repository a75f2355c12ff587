"""Figure 3: every benchmark against the rank of the low-rank adapters, with their base behind."""

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rigsa.analysis import roles, scores
from rigsa.analysis.figures import panels, style
from rigsa.paths import ResultPaths
from rigsa.study import Study

DODGE = 1.05  # factor of rank between series


def draw(study: Study, paths: ResultPaths) -> Figure:
    series = roles.rank_series(study)
    if not series:
        return style.sentence(
            study, f"The study {study.name} has no low-rank adapters (adapter.type: lora)."
        )
    measured, looks = scores.read(study, paths), style.looks(study)
    bases = [base for base in roles.base_arms(study) if any(s.base == base.base for s in series)]
    figure, grid = panels.grid(study, measured, bases)
    ranks = sorted({arm.adapter["r"] for item in series for arm in item.arms})
    for panel in grid:
        for place, item in enumerate(series):
            shift = DODGE ** (place - (len(series) - 1) / 2)
            found = [
                (arm.adapter["r"] * shift, measured.estimate(arm, 0, panel.benchmark))
                for arm in item.arms
            ]
            points = [(rank, score) for rank, score in found if score is not None]
            if points:
                panel.plot(*zip(*points, strict=True), looks[item.arms[0].name], line=True)
        panel.axes.set_xscale("log", base=2)
        panel.axes.set_xticks(ranks, [str(rank) for rank in ranks])
        panel.axes.xaxis.set_minor_locator(NullLocator())
        panel.axes.set_xlim(ranks[0] / 1.25, ranks[-1] * 1.25)
        panel.finish(looks)
    for panel in grid[-2:]:
        panel.axes.set_xlabel("Rank (log scale)")
    entries = [(item.arms[0].name, item.title, True) for item in series]
    chance = any(panel.chance_shown for panel in grid)
    panels.legend(figure, looks, entries, bases, chance=chance)
    return figure
