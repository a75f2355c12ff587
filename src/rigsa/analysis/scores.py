"""tables/scores.csv read back: values with errors by arm, step and benchmark, seeds combined."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rigsa.analysis.statistics import Estimate, combine
from rigsa.errors import FileError
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Benchmark, Study

if TYPE_CHECKING:
    import pandas

TEXT = ("arm", "title", "base", "benchmark", "task", "role", "checkpoint", "metric")


@dataclass(frozen=True)
class Scores:
    """All scores of a study."""

    rows: Mapping[tuple[str, int], "pandas.DataFrame"]

    def estimate(self, arm: Arm, step: int, benchmark: Benchmark) -> Estimate | None:
        """Mean over seeds with its standard error; None where the arm is not asked."""
        rows = self._rows(arm, step, benchmark)
        return combine(rows["score"], rows["stderr"]) if len(rows) else None

    def metric(self, arm: Arm, step: int, benchmark: Benchmark, name: str) -> float | None:
        """Another metric than the task's own, such as acc_norm."""
        return _mean(self._rows(arm, step, benchmark), f"metric_{name}")

    def number(self, arm: Arm, step: int, column: str, seed: int | None = None) -> float | None:
        """A number of the checkpoint itself, such as its density: of one seed, or the mean."""
        rows = self.rows[arm.name, step]
        return _mean(rows if seed is None else rows[rows["seed"] == seed], column)

    def checkpoints(self, arm: Arm, step: int, seed: int | None = None) -> tuple[str, ...]:
        """The definitions of the arm's checkpoints: of one seed, or of all in their order."""
        rows = self.rows[arm.name, step]
        return tuple(rows[rows["seed"].eq(seed) | (seed is None)]["checkpoint"].unique())

    def _rows(self, arm: Arm, step: int, benchmark: Benchmark) -> "pandas.DataFrame":
        rows = self.rows[arm.name, step]
        return rows[rows["benchmark"] == benchmark.name]


def read(study: Study, paths: ResultPaths) -> Scores:
    """Raises FileError where the file is missing, unreadable or made for another study."""
    import pandas

    try:
        frame = pandas.read_csv(
            paths.scores,
            dtype=dict.fromkeys(TEXT, str),
            keep_default_na=False,  # an arm may be called "null"
            na_values=[""],
        )
        rows = dict(list(frame.groupby(["arm", "step"], sort=False)))
        have = set(zip(frame["arm"], frame["seed"], frame["step"], frame["benchmark"], strict=True))
        frame[["score", "stderr", "n", "density", "trainable_parameters"]].astype(float)
    except FileNotFoundError:
        raise FileError(f"{paths.scores} is missing; `rigsa collect` makes it.") from None
    except (ValueError, KeyError) as error:  # a pandas ParserError is a ValueError
        raise FileError(
            f"{paths.scores} cannot be read ({error}); delete it and run again."
        ) from None
    for point in study.checkpoints():
        for benchmark in study.benchmarks_of(point.arm, point.step):
            if (point.arm, point.seed, point.step, benchmark.name) not in have:
                raise FileError(
                    f"{paths.scores} has no row for {benchmark.name} of arm {point.arm}, seed "
                    f"{point.seed}, step {point.step}; delete it and run again."
                )
    return Scores(rows)


def _mean(rows: "pandas.DataFrame", column: str) -> float | None:
    found = rows[column].dropna() if column in rows else ()
    return float(found.mean()) if len(found) else None
