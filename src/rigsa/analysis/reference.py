"""The paper's own numbers, read from studies/reference/ and shown beside ours, marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rigsa.analysis import roles
from rigsa.errors import ConfigError
from rigsa.study import STUDIES, Benchmark, Study
from rigsa.yaml_file import read_yaml

PAPER = STUDIES / "reference" / "rigsa_paper.yaml"


@dataclass(frozen=True)
class ReferenceRow:
    """One row of a table of the paper; scores in percent."""

    title: str
    source: str
    scores: tuple[Mapping[str, Any], ...]
    step: int | None
    density: float | None

    def score(self, study: Study, benchmark: Benchmark) -> float | None:
        """As a share of 1, if the paper gives this row a score on what `benchmark` stands for."""
        name = roles.paper_name(study, benchmark).casefold()
        for score in self.scores:
            asked_alike = score.get("fewshot", benchmark.fewshot) == benchmark.fewshot
            if score["benchmark"].casefold() == name and asked_alike:
                return score["percent"] / 100
        return None


@dataclass(frozen=True)
class Paper:
    """What the paper says."""

    source: str
    model: str
    final_density: float
    keep: float
    prunings: tuple[int, ...]
    low_rank: Mapping[str, Any]
    tables: Mapping[str, tuple[ReferenceRow, ...]]

    @property
    def note(self) -> str:
        return (
            f"† Value of the paper ({self.source}; {self.model}), shown for reference only: "
            "it is no result of this study."
        )


def read() -> Paper:
    """Raises ConfigError where the file is missing or lacks a part."""
    content = read_yaml(PAPER)
    try:
        tables = {
            name: tuple(
                ReferenceRow(
                    title=row["row"],
                    source=row["source"],
                    scores=tuple(row["scores"]),
                    step=row.get("step"),
                    density=row.get("density"),
                )
                for row in rows
            )
            for name, rows in content["tables"].items()
        }
        return Paper(
            source=content["source"],
            model=content["model"],
            final_density=content["final_density"],
            keep=content["keep"],
            prunings=tuple(content["prunings"]),
            low_rank=content["low_rank"],
            tables=tables,
        )
    except KeyError as error:
        raise ConfigError(f"{PAPER} lacks the key {error}.") from None
