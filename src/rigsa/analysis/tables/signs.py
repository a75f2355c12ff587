"""Signs: how many weights kept their sign, and whether that explains the paper's final density."""

from collections.abc import Sequence

from rigsa.analysis import reference, roles, scores
from rigsa.analysis.scores import Scores
from rigsa.analysis.tables.cells import COUNT, NUMBER, SHARE, TEXT, Column, Row, Table
from rigsa.analysis.text import show_share
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Study

COLUMNS = (
    Column("model", "Arm", TEXT),
    Column("seed", "Seed", COUNT),
    Column("step", "Step", COUNT),
    Column("density", "Density in file", SHARE),
    Column("scheduled_density", "Scheduled", SHARE),
    Column("rule_density", "By the rule", SHARE),
    Column("sign_kept", "Signs kept", SHARE),
    Column("gate", "Gate", NUMBER),
)


def needed(density: float, prunings: int, keep: float) -> float:
    """Share p of signs kept at which keeping `keep` of them, `prunings` times, ends at `density`.

    One pruning leaves keep·p of the free weights: (keep·p)^n = density.
    """
    return density ** (1 / prunings) / keep


def make(study: Study, paths: ResultPaths) -> Table:
    measured, paper = scores.read(study, paths), reference.read()
    rows, notes = [], [_question(paper)]
    for arm in roles.imp_arms(study):
        keep = arm.mask.get("keep", paper.keep)
        for seed in study.seeds:
            found = _rows(measured, arm, seed, keep)
            rows += found
            notes.append(_answer(arm, seed, keep, found))
    if not rows:
        notes = [f"The study {study.name} has no arm with several iterations."]
    return Table(
        name="signs",
        title="Share of signs kept at every step",
        columns=COLUMNS,
        rows=tuple(rows),
        notes=tuple(note for note in notes if note),
    )


def _rows(measured: Scores, arm: Arm, seed: int, keep: float) -> list[Row]:
    rows, by_rule = [], 1.0
    for step in range(arm.iterations):
        values = {
            column: measured.number(arm, step, column, seed)
            for column in ("density", "scheduled_density", "sign_kept", "gate")
        }
        own = {"model": arm.title, "seed": seed, "step": step, "rule_density": by_rule}
        rows.append(Row(own | values, checkpoints=measured.checkpoints(arm, step, seed)))
        kept = values["sign_kept"]
        by_rule = None if by_rule is None or kept is None else by_rule * keep * kept
    return rows


def _question(paper: reference.Paper) -> str:
    cases = " or ".join(
        f"{show_share(needed(paper.final_density, n, paper.keep))} with {n} prunings"
        for n in paper.prunings
    )
    return (
        f"The paper ({paper.source}) keeps {show_share(paper.keep)} of the weights whose sign "
        f"stayed and ends at {show_share(paper.final_density)}. Both are true only if the share "
        f"of free weights that keep their sign is, a round, {cases}."
    )


def _answer(arm: Arm, seed: int, keep: float, rows: Sequence[Row]) -> str:
    before_pruning = [row.values["sign_kept"] for row in rows[:-1]]
    if any(share is None for share in before_pruning):
        return f"{arm.title}, seed {seed}: its initial values have no sign to keep."
    end, prunings = rows[-1].values, len(before_pruning)
    sentence = (
        f"{arm.title}, seed {seed}: {', '.join(map(show_share, before_pruning))} kept their sign "
        f"before the {prunings} pruning{'s' if prunings > 1 else ''}, by which keeping "
        f"{show_share(keep)} of them would end at {show_share(end['rule_density'])}"
    )
    if end["density"] is None:
        return f"{sentence}."
    share = needed(end["density"], prunings, keep)
    possible = "" if share <= 1 else ", which is more than there are"
    return (
        f"{sentence}; the file's {show_share(end['density'])} would take "
        f"{show_share(share)} a round{possible}."
    )
