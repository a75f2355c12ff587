"""The curves of figures 4 and 7: IMP steps and ranks as joined points, all other arms alone."""

from dataclasses import dataclass

from rigsa.analysis import roles
from rigsa.study import Arm, Study


@dataclass(frozen=True)
class Curve:
    """Checkpoints (arm, step) with one look and one place in the legend."""

    title: str
    points: tuple[tuple[Arm, int], ...]
    labels: tuple[str, ...]

    @property
    def arm(self) -> Arm:
        return self.points[0][0]


def curves(study: Study) -> list[Curve]:
    """Every trained checkpoint once, in the order of the study."""
    series = {item.arms[0].name: item for item in roles.rank_series(study)}
    in_series = {arm.name for item in series.values() for arm in item.arms}
    firsts = {
        min(item.arms, key=list(study.arms.values()).index).name: item for item in series.values()
    }
    found = []
    for arm in study.arms.values():
        if arm.name in firsts:
            item = firsts[arm.name]
            labels = tuple(f"r{other.adapter['r']}" for other in item.arms)
            found.append(Curve(item.title, tuple((other, 0) for other in item.arms), labels))
        elif arm.trained and arm.name not in in_series:
            steps = range(arm.iterations)
            labels = tuple(str(step) for step in steps) if arm.iterations > 1 else ("",)
            found.append(Curve(arm.title, tuple((arm, step) for step in steps), labels))
    return found
