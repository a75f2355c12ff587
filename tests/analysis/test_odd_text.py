"""Titles and answers that mean something to a browser, LaTeX, a spreadsheet or a terminal."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rigsa.analysis import collect, figures, tables, terminal
from rigsa.analysis.figures import chat, forgetting, style, typeset
from rigsa.analysis.tables.latex import ESCAPES
from tests.analysis.made_up import (
    default_arms,
    make_study,
    write_perplexity,
    write_results,
    write_tuning,
)
from tests.workflow.odd_text import ODD

CONTROL = "\x1b]0;owned\x07 a\tb\r\x00\u202e\ufeff\ud800 <b>&amp;</b> $\\frac$ 漢 |x|\n1234\n"


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Every title of a study is odd, and all of it is drawn."""
    plain = make_study()
    tasks = {
        name: {**entry, "title": f"{ODD} {name}", "stands_for": f"{ODD} {name}"}
        for name, entry in plain.task_entries.items()
    }
    arms = {item.name: replace(item, title=f"{ODD} {item.name}") for item in default_arms()}
    rates = {**arms["q1"].training, "learning_rate": (1e-3, 3e-3)}
    arms["q1"] = replace(arms["q1"], training=rates)
    study = replace(plain, title=ODD, task_entries=tasks, arms=arms)
    paths = write_results(study, tmp_path_factory.mktemp("odd"), items=20)
    write_perplexity(paths.checkpoint("plain", 0, 0).evaluation("sums"), 1.25)
    write_tuning(paths.tuning("q1"), (1e-3, 3e-3))
    collect.run(study, paths)
    paths.chat.parent.mkdir()
    turns = [{"role": role, "content": ODD + CONTROL} for role in ("user", "assistant")]
    paths.chat.write_text(json.dumps(turns))
    for name in tables.MODULES:
        tables.run(name, study, paths)
    for name in ("figure2", "figure3", "figure4", "figure6", "figure7"):
        figures.run(name, study, paths)
    return study, paths


def texts(odd: tuple, suffix: str) -> dict[str, str]:
    files = [path for name in tables.MODULES for path in odd[1].table(name)]
    return {path.stem: path.read_text() for path in files if path.suffix == suffix}


class Shown(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.add(tag)
        assert not {name for name, _ in attributes} - {"class", "charset"}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_it_and_runs_nothing(odd) -> None:
    for text in texts(odd, ".html").values():
        page = Shown()
        page.feed(text)
        assert page.tags <= {"meta", "title", "style", "h3", "table", "tr", "th", "td", "p"}
    page = Shown()
    page.feed(texts(odd, ".html")["summary"])
    assert f"{ODD} pruned, step 4" in page.text


def test_a_csv_gives_it_back_and_no_cell_is_a_formula(odd) -> None:
    for name, text in texts(odd, ".csv").items():
        rows = list(csv.reader(text.splitlines()))
        assert {len(row) for row in rows} == {len(rows[0])}, name
        cells = [cell for row in rows for cell in row]
        assert not [c for c in cells if re.match(r"[=+@\t\r]|-(?![\d.])", c)], name
    with odd[1].scores.open(newline="") as file:
        assert {row["title"] for row in csv.DictReader(file)} >= {f"{ODD} pruned"}


def test_markdown_keeps_its_columns_and_no_tag(odd) -> None:
    for name, text in texts(odd, ".md").items():
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, name
        shown = re.sub(r"<!-- Checkpoints?: [\w, -]+ -->", "", text)
        assert not re.search(r"(?<!\\)[<`$]", shown), name


LATEX = r"""\usepackage \begin \end \centering \scriptsize \small \setlength \tabcolsep \caption
\label \toprule \midrule \bottomrule \shortstack \par \smallskip \parbox \linewidth \footnotesize"""


def test_latex_has_no_command_of_a_title(odd) -> None:
    ours = {*LATEX.split(), *re.findall(r"\\[a-z]+", "".join(ESCAPES.values()))}
    for name, text in texts(odd, ".tex").items():
        body = re.sub(r"^% [^\n]*\n", "", text, flags=re.M).replace(r"\\", " ")
        assert "alert" in body, name
        assert set(re.findall(r"\\[a-z]+", body)) <= ours, name
        assert not re.search(r"(?<!\\)[%#_~^<>]", body), name


def test_a_figure_shows_it_letter_by_letter(odd) -> None:
    study, paths = odd
    for number in (2, 3, 4, 6, 7):
        assert paths.figure(f"figure{number}")[0].read_bytes().startswith(b"%PDF")
    with style.applied():
        drawn = forgetting.draw(study, paths)
        labels = {text.get_text() for legend in drawn.legends for text in legend.get_texts()}
        turns = chat.read_turns(paths.chat)
        said = [t.get_text() for t in chat.draw_chat(study, turns).axes[0].texts]
    assert f"{ODD} pruned" in labels
    together = "".join(said).replace(" ", "")
    assert together.count("<script>alert(1)</script>") == 2
    assert "<b>&amp;</b>$\\frac$�|x|" in together
    assert together.isprintable()


def test_no_character_is_without_a_width() -> None:
    assert typeset.width("漢", 10) == typeset.width("\N{REPLACEMENT CHARACTER}", 10) > 0
    assert typeset.drawable("a\x1b[31m\tb\n漢") == "a�[31m b\n�"


def test_the_terminal_gets_no_command(odd) -> None:
    summary = terminal.summary(*odd)
    assert summary.replace("\n", "").isprintable()
