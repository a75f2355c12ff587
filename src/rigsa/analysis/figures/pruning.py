"""Figure 2: every benchmark over the pruning steps, with the random mask at the last of them."""

import numpy as np
from matplotlib.figure import Figure

from rigsa.analysis import roles, scores
from rigsa.analysis.figures import panels, style
from rigsa.analysis.text import show_share
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Study

DODGE = 0.06  # of a step between arms, so that error bars do not hide each other


def draw(study: Study, paths: ResultPaths) -> Figure:
    pruned = roles.imp_arms(study)
    if not pruned:
        return style.sentence(study, f"The study {study.name} has no arm with several iterations.")
    measured, looks = scores.read(study, paths), style.looks(study)
    matched = roles.matched_arms(study)
    shown = [*pruned, *(arm for arm, _ in matched)]
    bases = [base for base in roles.base_arms(study) if any(a.base == base.base for a in shown)]
    figure, grid = panels.grid(study, measured, bases)
    shifts = {arm.name: (i - (len(shown) - 1) / 2) * DODGE for i, arm in enumerate(shown)}
    last = max(arm.iterations for arm in pruned) - 1
    for panel in grid:
        for arm in pruned:
            steps = range(arm.iterations)
            found = [(t, measured.estimate(arm, t, panel.benchmark)) for t in steps]
            points = [(t + shifts[arm.name], score) for t, score in found if score is not None]
            if points:
                panel.plot(*zip(*points, strict=True), looks[arm.name], line=True)
        for arm, step in matched:
            score = measured.estimate(arm, 0, panel.benchmark)
            if score is not None:
                panel.plot([step + shifts[arm.name]], [score], looks[arm.name], line=False)
        panel.axes.set_xlim(-0.35, last + 0.35)
        panel.axes.set_xticks(range(last + 1), _labels(measured, pruned, last))
        panel.finish(looks)
    for panel in grid[-2:]:
        panel.axes.set_xlabel(_axis(measured, pruned, last))
    entries = [(arm.name, arm.title, True) for arm in pruned]
    entries += [(arm.name, arm.title, False) for arm, _ in matched]
    chance = any(panel.chance_shown for panel in grid)
    panels.legend(figure, looks, entries, bases, chance=chance)
    return figure


def _densities(measured: scores.Scores, pruned: list[Arm], last: int) -> list[float] | None:
    """Of each step, if all arms share them; otherwise no axis can name them."""
    lists = [
        [measured.number(arm, step, "density") for step in range(arm.iterations)] for arm in pruned
    ]
    if any(None in found or len(found) != last + 1 for found in lists):
        return None
    alike = all(np.allclose(found, lists[0], rtol=0.02) for found in lists)
    return lists[0] if alike else None


def _labels(measured: scores.Scores, pruned: list[Arm], last: int) -> list[str]:
    densities = _densities(measured, pruned, last)
    if densities is None:
        return [str(step) for step in range(last + 1)]
    return [f"{step}\n{show_share(share)}" for step, share in enumerate(densities)]


def _axis(measured: scores.Scores, pruned: list[Arm], last: int) -> str:
    shared = _densities(measured, pruned, last) is not None
    return "Pruning step, and share of weights kept" if shared else "Pruning step"
