"""The summary in the terminal fits, agrees with the table and needs no library."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigsa.analysis import tables, terminal
from rigsa.errors import FileError
from tests.analysis.made_up import arm, default_arms, imp_arm, make_study


def test_it_fits_and_has_every_arm(collected):
    study, paths = collected()
    tables.run("summary", study, paths)
    text = terminal.summary(study, paths)
    assert max(map(len, text.splitlines())) <= 100
    assert "RIGSA, step 4" in text
    assert "3.46 %" in text
    assert "†" not in text


def test_a_star_is_a_significant_fall(collected):
    study, paths = collected()
    tables.run("summary", study, paths)
    path = paths.table("summary")[0]
    header = path.read_text().splitlines()[0]
    values = {"arm": "a", "model": "Fell", "step": 0, "digits": 90, "sums": 50, "sums_se": 1}
    fell = values | {"sums_fall": 9, "sums_fall_p": 0.01, "source": "study"}
    rose = fell | {"model": "Rose", "sums_fall": -9}
    unsure = fell | {"model": "Unsure", "sums_fall_p": 0.2}
    lines = [
        ",".join(str(row.get(k, "")) for k in header.split(",")) for row in (fell, rose, unsure)
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    text = terminal.summary(study, paths)
    stars = {name: "50.0±1.0*" in line for line in text.splitlines() if (name := line[:4].strip())}
    assert (stars["Fell"], stars["Rose"], stars["Unsu"]) == (True, False, False)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_long_title_is_cut_and_columns_left_out(collected, width):
    study, paths = collected([*default_arms(), imp_arm("long", "A method " * 12)])
    tables.run("summary", study, paths)
    text = terminal.summary(study, paths, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" in text
    assert ("summary.md" in text) == (width < 80)


@given(
    st.lists(st.text("abc ", min_size=1, max_size=60), min_size=1, max_size=4), st.integers(30, 120)
)
def test_any_layout_fits(titles: list[str], width: int):
    columns = [["", *titles], *[["Heading of some words", *["99.9±9.9*"] * len(titles)]] * 5]
    text = terminal._layout(make_study(), columns, width)
    assert max(map(len, text.splitlines())) <= width


def test_a_missing_or_foreign_summary_is_named(collected):
    study, paths = collected([arm("plain", "Base")])
    with pytest.raises(FileError, match=r"summary\.csv is missing"):
        terminal.summary(study, paths)
    paths.table("summary")[0].write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match=r"summary\.csv is no summary"):
        terminal.summary(study, paths)


def test_neither_it_nor_the_names_load_a_library():
    loaded = "from rigsa.analysis import figures, tables, terminal"
    heavy = "{'numpy', 'pandas', 'matplotlib', 'torch'} & set(sys.modules)"
    code = f"import sys; {loaded}; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
