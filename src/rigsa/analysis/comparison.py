"""What a checkpoint lost against its own base, item by item on the same questions.

A study may have thousands of checkpoints, so only the bases' scores are kept: those of a checkpoint
are read, compared and let go.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rigsa.analysis import roles
from rigsa.analysis.item_scores import ItemScores, read_scores
from rigsa.analysis.statistics import (
    Estimate,
    bootstrap_interval,
    exact_paired_test,
    holm,
    paired_error,
)
from rigsa.errors import FileError
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Benchmark, Study


@dataclass(frozen=True)
class Fall:
    """Score of the base minus score of the checkpoint, as a share of 1: positive is forgotten."""

    mean: float
    low: float
    high: float
    error: float
    p: float | None
    items: int


@dataclass
class Falls:
    """Falls of all checkpoints of a study."""

    study: Study
    paths: ResultPaths
    _bases: dict[Path, ItemScores] = field(default_factory=dict)

    def of(self, arm: Arm, step: int, benchmark: Benchmark) -> Fall | None:
        """None for a base itself, without a base to compare with, or where either is not asked."""
        differences = self.differences(arm, step, benchmark)
        if differences is None:
            return None
        low, high = bootstrap_interval(differences)
        whole = np.array_equal(differences, np.rint(differences))
        return Fall(
            mean=float(differences.mean()),
            low=low,
            high=high,
            error=paired_error(differences),
            # Scores between 0 and 1 are no right and wrong answers for McNemar to count.
            p=exact_paired_test(differences) if whole else None,
            items=differences.shape[1],
        )

    def estimate(self, arm: Arm, step: int, benchmark: Benchmark) -> Estimate | None:
        """The fall and its standard error alone, without the work of interval and test."""
        differences = self.differences(arm, step, benchmark)
        if differences is None:
            return None
        return Estimate(float(differences.mean()), paired_error(differences))

    def of_sources(self, arm: Arm, step: int) -> dict[str, Fall]:
        """Falls by source benchmark, p values corrected for the number of source tasks (Holm)."""
        found = {b.name: self.of(arm, step, b) for b in roles.source_benchmarks(self.study)}
        falls = {name: fall for name, fall in found.items() if fall is not None}
        tested = [name for name, fall in falls.items() if fall.p is not None]
        for name, p in zip(tested, holm([falls[name].p for name in tested]), strict=True):
            falls[name] = Fall(**{**vars(falls[name]), "p": p})
        return falls

    def differences(self, arm: Arm, step: int, benchmark: Benchmark) -> np.ndarray | None:
        """Base minus checkpoint, shape (seeds, items)."""
        base = roles.base_of(self.study, arm)
        if not arm.trained or base is None:
            return None
        if any(
            benchmark not in self.study.benchmarks_of(name, at)
            for name, at in ((arm.name, step), (base.name, 0))
        ):
            return None
        reference_path = self._path(base, self.study.seeds[0], 0, benchmark)
        if reference_path not in self._bases:
            self._bases[reference_path] = read_scores(reference_path)
        reference = self._bases[reference_path]
        rows = []
        for seed in self.study.seeds:
            path = self._path(arm, seed, step, benchmark)
            answers = read_scores(path)
            if not np.array_equal(answers.items, reference.items):
                raise FileError(
                    f"{path} and {reference_path} hold answers to different items; "
                    "delete both, and the next run makes them again."
                )
            rows.append(reference.scores - answers.scores)
        return np.stack(rows)

    def _path(self, arm: Arm, seed: int, step: int, benchmark: Benchmark) -> Path:
        return self.paths.checkpoint(arm.name, seed, step).samples(benchmark.name)
