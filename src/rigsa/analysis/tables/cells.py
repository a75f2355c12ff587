"""What a table is made of: columns of a kind, rows, notes; how each kind of value is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rigsa.analysis.comparison import Fall
from rigsa.analysis.statistics import Estimate
from rigsa.analysis.text import NOTHING, SIGNIFICANT, percent, show_share


@dataclass(frozen=True)
class Kind:
    """How a value is shown, and the plain numbers that stand for it in CSV."""

    show: Callable[[Any], str]
    numbers: Callable[[Any], tuple[Any, ...]]
    suffixes: tuple[str, ...] = ("",)
    right: bool = True


@dataclass(frozen=True)
class Column:
    """`key` heads the column in CSV, `title` elsewhere; without a title it is in CSV alone."""

    key: str
    title: str | None
    kind: Kind


@dataclass(frozen=True)
class Row:
    """Values by column key; `reference` marks a row that is the paper's and not ours.

    `checkpoints` are the definitions of those whose scores or numbers the row holds.
    """

    values: Mapping[str, Any]
    reference: bool = False
    checkpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Shown as it is; a table without rows still has its columns and says why in its notes."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.title is not None)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """All that the table holds, each once."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.checkpoints))


def show_estimate(estimate: Estimate) -> str:
    if estimate.error is None:
        # A value from elsewhere keeps the digits that it was given with.
        return percent(estimate.value, 2).removesuffix("0")
    return f"{percent(estimate.value)} ± {percent(estimate.error)}"


def _show_fall(fall: Fall) -> str:
    star = "*" if fall.p is not None and fall.p < SIGNIFICANT else ""
    return f"{percent(fall.mean)} [{percent(fall.low)}, {percent(fall.high)}]{star}"


def _estimate_numbers(estimate: Estimate) -> tuple[Any, ...]:
    return (100 * estimate.value, None if estimate.error is None else 100 * estimate.error)


TEXT = Kind(str, lambda value: (value,), right=False)
COUNT = Kind(lambda value: f"{value:,.0f}", lambda value: (value,))
SHARE = Kind(show_share, lambda value: (value,))
NUMBER = Kind(lambda value: f"{value:.3g}".replace("-", "−"), lambda value: (value,))
PERCENT = Kind(percent, lambda value: (100 * value,))
ESTIMATE = Kind(show_estimate, _estimate_numbers, ("", "_se"))
FALL = Kind(
    _show_fall,
    lambda fall: (100 * fall.mean, 100 * fall.low, 100 * fall.high, fall.p),
    ("", "_low", "_high", "_p"),
)


def show(column: Column, row: Row) -> str:
    value = row.values.get(column.key)
    return NOTHING if value is None else column.kind.show(value)


def numbers(column: Column, row: Row) -> tuple[Any, ...]:
    value = row.values.get(column.key)
    return (None,) * len(column.kind.suffixes) if value is None else column.kind.numbers(value)


def shown_cells(table: Table, row: Row) -> list[str]:
    """A row as it is read; the paper's rows are marked."""
    cells = [show(column, row) for column in table.shown]
    return [f"{cells[0]} †", *cells[1:]] if row.reference else cells
