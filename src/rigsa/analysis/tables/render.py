"""A table as text of a file: CSV (plain numbers) and Markdown here, LaTeX and HTML next door."""

import csv
import io
import re
from collections.abc import Iterable

from rigsa.analysis.tables.cells import Table, numbers, shown_cells
from rigsa.analysis.tables.latex import latex
from rigsa.analysis.tables.web import html


def render(table: Table, suffix: str) -> str:
    """`suffix` is that of the file: .csv, .md, .tex or .html."""
    return {".csv": comma_separated, ".md": markdown, ".tex": latex, ".html": html}[suffix](table)


def comma_separated(table: Table) -> str:
    """Scores and falls in percent, shares such as density as shares of 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    header = [c.key + suffix for c in table.columns for suffix in c.kind.suffixes]
    writer.writerow([*header, "checkpoint", "source"])
    for row in table.rows:
        plain = [_plain(value) for c in table.columns for value in numbers(c, row)]
        source = "paper" if row.reference else "study"
        writer.writerow([*plain, " ".join(row.checkpoints), source])
    return buffer.getvalue()


def _plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def markdown(table: Table) -> str:
    lines = []
    if table.rows:
        lines.append(_line(column.title for column in table.shown))
        rules = (" ---: " if column.kind.right else " :--- " for column in table.shown)
        lines.append(f"|{'|'.join(rules)}|")
    lines += [_line(shown_cells(table, row)) for row in table.rows]
    notes = [markdown_escape(note) for note in table.notes]
    parts = [f"**{markdown_escape(table.title)}**", "\n".join(lines), *notes]
    if table.checkpoints:
        parts.append(f"<!-- Checkpoints: {' '.join(table.checkpoints)} -->")
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~$])", r"\\\1", " ".join(text.split()))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(markdown_escape(cell) for cell in cells)} |"
