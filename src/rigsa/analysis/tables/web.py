"""A table as one HTML file that a browser shows without a network."""

from html import escape

from rigsa.analysis.tables.cells import Column, Table, shown_cells

STYLE = """
body {font: 15px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222}
table {border-collapse: collapse}
th, td {padding: .25em .8em; text-align: right; white-space: nowrap}
th {border-top: 2px solid; border-bottom: 1px solid; vertical-align: bottom}
tr:last-child td {border-bottom: 2px solid}
.left {text-align: left}
.reference {color: #666; font-style: italic}
p {max-width: 60em}
"""


def html(table: Table) -> str:
    title = escape(table.title)
    lines = ["<!doctype html>", '<meta charset="utf-8">', f"<title>{title}</title>"]
    lines += [f"<style>{STYLE}</style>", f"<h3>{title}</h3>"]
    if table.rows:
        lines += ["<table>", _row("", "th", table, [column.title for column in table.shown])]
        for row in table.rows:
            mark = ' class="reference"' if row.reference else ""
            lines.append(_row(mark, "td", table, shown_cells(table, row)))
        lines.append("</table>")
    lines += [f"<p>{escape(note)}</p>" for note in table.notes]
    if table.checkpoints:
        lines.append(f"<!-- Checkpoints: {' '.join(table.checkpoints)} -->")
    return "\n".join(lines) + "\n"


def _row(mark: str, tag: str, table: Table, cells: list[str]) -> str:
    row = (_cell(tag, c, text) for c, text in zip(table.shown, cells, strict=True))
    return f"<tr{mark}>{''.join(row)}</tr>"


def _cell(tag: str, column: Column, text: str) -> str:
    side = "" if column.kind.right else ' class="left"'
    return f"<{tag}{side}>{escape(text)}</{tag}>"
