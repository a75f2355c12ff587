"""A table in LaTeX (booktabs), to be included in a paper as it is."""

import re

from rigsa.analysis.tables.cells import Column, Table, shown_cells

ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "†": r"$\dagger$",
    "√": r"$\surd$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "–": "--",
    "[": "{[}",  # after \\ a bare bracket would be read as its argument
    "]": "{]}",
}
WIDE = 6  # columns from which a table spans the page


def latex_escape(text: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in " ".join(text.split()))


def latex(table: Table) -> str:
    wide = len(table.shown) >= WIDE
    environment = "table*" if wide else "table"
    lines = [
        r"% Needs \usepackage{booktabs}.",
        *(f"% Checkpoint: {checkpoint}" for checkpoint in table.checkpoints),
        rf"\begin{{{environment}}}",
        r"  \centering",
        r"  \scriptsize\setlength{\tabcolsep}{3pt}" if wide else r"  \small",
        rf"  \caption{{{latex_escape(table.title)}}}",
        rf"  \label{{tab:{table.name}}}",
    ]
    if table.rows:
        lines += _tabular(table)
    for note in table.notes:
        lines.append(r"  \par\smallskip")
        lines.append(rf"  \parbox{{\linewidth}}{{\footnotesize {latex_escape(note)}}}")
    return "\n".join([*lines, rf"\end{{{environment}}}"]) + "\n"


def _tabular(table: Table) -> list[str]:
    sides = "".join("lr"[column.kind.right] for column in table.shown)
    lines = [rf"  \begin{{tabular}}{{@{{}}{sides}@{{}}}}", r"    \toprule"]
    lines += [_row([_head(column) for column in table.shown]), r"    \midrule"]
    for before, row in zip((None, *table.rows), table.rows, strict=False):
        if before is not None and row.reference and not before.reference:
            lines.append(r"    \midrule")
        lines.append(_row([latex_escape(cell) for cell in shown_cells(table, row)]))
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _row(cells: list[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"


def _head(column: Column) -> str:
    """A long heading in two lines."""
    title = " ".join(column.title.split())
    gaps = [match.start() for match in re.finditer(" ", title)]
    if len(title) <= 12 or not gaps:
        return latex_escape(title)
    middle = min(gaps, key=lambda at: abs(at - len(title) / 2))
    halves = rf"{latex_escape(title[:middle])}\\{latex_escape(title[middle:])}"
    return rf"\shortstack[{'lr'[column.kind.right]}]{{{halves}}}"
