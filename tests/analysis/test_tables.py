"""Tables: the numbers of the files, the paper's marked, and all text escaped."""

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigsa.analysis import collect, reference, tables
from rigsa.analysis.comparison import Fall
from rigsa.analysis.statistics import Estimate
from rigsa.analysis.tables import cells, signs, table4
from rigsa.analysis.tables.cells import ESTIMATE, FALL, SHARE, TEXT, Column, Row, Table
from rigsa.analysis.tables.latex import latex_escape
from rigsa.analysis.tables.render import markdown_escape, render
from rigsa.analysis.text import percent, show_share
from rigsa.errors import RigsaError
from tests.analysis.made_up import (
    arm,
    imp_arm,
    lora_arm,
    write_evaluation,
    write_perplexity,
    write_tuning,
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def made(name: str, collected: tuple) -> list[dict[str, str]]:
    tables.run(name, *collected)
    return rows(collected[1].table(name)[0])


@pytest.mark.parametrize("name", tables.MODULES)
def test_every_table_is_written_in_every_format_the_same_each_time(collected, name):
    study, paths = collected()
    tables.run(name, study, paths)
    first = [path.read_bytes() for path in paths.table(name)]
    tables.run(name, study, paths)
    assert [path.read_bytes() for path in paths.table(name)] == first
    assert all(first)


@pytest.mark.parametrize("name", tables.MODULES)
def test_a_study_of_one_base_has_every_table(collected, name):
    study, paths = collected([arm("plain", "Base")])
    tables.run(name, study, paths)
    text = paths.table(name)[1].read_text()
    assert name not in ("table4", "signs", "tuning", "perplexity") or re.search(
        r"The study made\\_up has no .*\.\n$", text
    )


def test_table2_has_both_bases_in_both_numbers_of_examples(collected):
    study, paths = collected()
    path = paths.checkpoint("quantised", 0, 0).evaluation("digits_5shot")
    write_evaluation(path, study.benchmarks["digits_5shot"], cells_of(3, 60))
    collect.run(study, paths)
    found = made("table2", (study, paths))
    assert [row["model"] for row in found] == ["Base", "Base, 4-bit", "Full precision", "4-bit"]
    assert float(found[1]["digits_5shot"]) == pytest.approx(5)
    assert [row["digits"] for row in found[2:]] == ["9.16", "9.8"]
    assert [row["digits_5shot"] for row in found[2:]] == ["10.04", "10.41"]
    assert [row["source"] for row in found] == ["study", "study", "paper", "paper"]


def cells_of(right: int, items: int):
    import numpy as np

    return np.repeat([1.0, 0.0], [right, items - right])


def test_tables_1_and_3_set_the_papers_values_below_ours(collected):
    both = collected()
    first, third = made("table1", both), made("table3", both)
    paper = {"sums": "48.8", "pairs": "74.4", "ends": "66.1"}
    assert {key: first[-1][key] for key in paper} == paper
    assert first[1]["model"] == "Base, normalised by length"
    assert (first[1]["ends"], first[1]["sums"]) == ("50", "")
    assert [third[-1][key] for key in paper] == ["19.9", "75.2", "50.8"]
    markdown = both[1].table("table3")[1].read_text()
    assert "| 4-bit † | 19.9 | 75.2 | 50.8 |" in markdown
    assert "† Value of the paper (arXiv 2511.01794" in markdown


def test_a_reference_is_not_set_beside_another_number_of_examples(study):
    row = reference.read().tables["table2"][0]
    assert row.score(study, study.benchmarks["digits"]) == pytest.approx(0.0916)
    asked_twice = type(study.benchmarks["digits"])("x", "digits", 2)
    assert row.score(study, asked_twice) is None


def test_table4_says_which_rank_has_which_value():
    arms = [
        lora_arm(f"q{r}", f"QLoRA r{r}", r, learning_rate=1e-3 if r == 1 else 2e-4)
        for r in (1, 4, 8)
    ]
    assert table4._setting("r", arms) == "1, 4, 8"
    assert table4._setting("lora_alpha", arms) == "32"
    assert table4._setting("learning_rate", arms) == "0.001 (r1); 0.0002 (r4, r8)"
    assert table4._setting("base", arms) == "4-bit"
    assert table4._setting("target_modules", arms) is None


def test_table4_beside_the_papers(collected):
    found = {row["setting"]: row for row in made("table4", collected())}
    assert found["Learning rate"]["series0"] == found["Learning rate"]["paper"] == "0.0002"
    assert found["Rank"]["paper"] == "1, 4, 8, 16"


def test_the_summary_says_what_gates_have_closed_where_there_are_any(collected):
    gated = arm("gated", "FineGates", {"type": "fine_gates", "r": 1})
    study, paths = collected([arm("plain", "Base"), lora_arm("q1", "LoRA", 1, "full"), gated])
    assert "closed" not in made("summary", (study, paths))[0]
    file = paths.checkpoint("gated", 0, 0).training
    file.write_text(json.dumps(json.loads(file.read_text()) | {"closed_weights": 0.36}))
    collect.run(study, paths)
    found = [row for row in made("summary", (study, paths)) if row["source"] == "study"]
    assert [row["closed"] for row in found] == ["", "", "0.36"]
    assert "whose gate is 0 after training" in paths.table("summary")[1].read_text()


def test_summary_shows_last_steps_and_dense_ones(collected):
    found = [row for row in made("summary", collected()) if row["source"] == "study"]
    shown = [(row["arm"], row["step"]) for row in found]
    assert shown[:5] == [
        ("plain", "0"), ("quantised", "0"), ("pruned", "0"), ("pruned", "4"), ("chance_mask", "0"),
    ]  # fmt: skip
    last = found[3]
    assert (last["density"], last["parameters"]) == ("0.0346", "54421")
    assert float(last["sums_fall"]) == pytest.approx(float(found[0]["sums"]) - float(last["sums"]))
    assert float(last["sums_fall_low"]) < float(last["sums_fall"]) < float(last["sums_fall_high"])
    assert found[0]["sums_fall"] == ""


def test_summary_of_several_seeds_says_so(collected):
    study, paths = collected(seeds=(0, 1))
    tables.run("summary", study, paths)
    assert "Means over 2 seeds" in paths.table("summary")[1].read_text()


def test_needed_share_of_signs():
    # 0.539 with four prunings, 0.638 with five.
    assert signs.needed(0.0346, 4, 0.8) == pytest.approx(0.539, abs=5e-4)
    assert signs.needed(0.0346, 5, 0.8) == pytest.approx(0.638, abs=5e-4)


def test_signs_follow_the_rule_beside_the_file(collected):
    study, paths = collected()
    found = made("signs", (study, paths))
    assert [row["step"] for row in found] == list("01234")
    kept = 0.8**4 * 0.64 * 0.95 * 0.97 * 0.98
    assert float(found[4]["rule_density"]) == pytest.approx(kept)
    assert float(found[4]["density"]) == float(found[4]["scheduled_density"]) == 0.0346
    text = paths.table("signs")[1].read_text()
    assert "53.9 % with 4 prunings or 63.8 % with 5 prunings" in text
    assert "64 %, 95 %, 97 %, 98 % kept their sign before the 4 prunings" in text
    assert "would end at 23.7 %; the file's 3.46 % would take 53.9 % a round." in text


def test_signs_of_a_density_that_the_rule_cannot_keep(collected):
    study, paths = collected([arm("plain", "Base"), imp_arm("thick", "Thick", density=0.9)])
    tables.run("signs", study, paths)
    assert "122 % a round, which is more than there are." in paths.table("signs")[1].read_text()


HOSTILE = r"50 % & co_1 #2 {a} ~b ^c $x$ \input{y} <script> | `z` *w* [q]"
TABLE = Table("t", HOSTILE, (Column("a", HOSTILE, TEXT),), (Row({"a": HOSTILE}),), (HOSTILE,))


def test_latex_is_escaped():
    assert latex_escape(r"50 % & a_b $5 \x") == r"50 \% \& a\_b \$5 \textbackslash{}x"
    text = render(TABLE, ".tex")
    assert r"\input" not in text.replace(r"\textbackslash{}input", "")
    assert text.count(r"\&") == 4
    assert len(re.findall(r"(?<!\\)&", text)) == 0


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=30))
def test_no_character_of_a_text_is_a_command_in_latex(text: str):
    left = re.sub(r"\\(text[a-z]+\{\}|[&%$#_{}])|\{[\[\]]\}", "", latex_escape(text))
    assert not re.search(r"[\\&%$#_{}~^<>\[\]\n]", left)


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=30))
def test_markdown_escapes_can_be_taken_back(text: str):
    escaped = markdown_escape(text)
    assert re.sub(r"\\([\\`*_\[\]<>|~$])", r"\1", escaped) == " ".join(text.split())
    assert not re.search(r"(?<!\\)(\\\\)*[`*_\[\]<>|~$]", escaped)


def test_markdown_and_html_are_escaped():
    assert len(re.findall(r"(?<!\\)\|", render(TABLE, ".md").splitlines()[2])) == 2
    html = render(TABLE, ".html")
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 5


def test_cells_are_shown_in_percent_with_real_signs():
    assert percent(-0.014) == "−1.4"
    assert percent(-0.0001) == "0.0"
    assert [show_share(x) for x in (1.0, 0.0346, 0.00034567, 0.43130)] == [
        "100 %", "3.46 %", "0.0346 %", "43.1 %",
    ]  # fmt: skip
    assert cells.show_estimate(Estimate(0.8312, 0.0123)) == "83.1 ± 1.2"
    assert cells.show_estimate(Estimate(0.9905)) == "99.05"
    assert cells.show_estimate(Estimate(0.407)) == "40.7"
    fall = Fall(mean=0.1234, low=-0.01, high=0.2, error=0.05, p=0.049, items=10)
    assert FALL.show(fall) == "12.3 [−1.0, 20.0]*"
    assert FALL.show(Fall(**{**vars(fall), "p": 0.05})) == "12.3 [−1.0, 20.0]"


def test_csv_has_plain_numbers():
    columns = (Column("s", "S", ESTIMATE), Column("d", "D", SHARE), Column("f", "F", FALL))
    row = Row({"s": Estimate(0.5, 0.01), "d": 0.0346})
    text = render(Table("t", "T", columns, (row,)), ".csv")
    assert text == "s,s_se,d,f,f_low,f_high,f_p,checkpoint,source\n50,1,0.0346,,,,,,study\n"


def test_an_unknown_table_is_one_sentence(study):
    with pytest.raises(RigsaError, match="'table9'"):
        tables.run("table9", study, None)


def test_tuning_shows_every_rate_and_says_where_the_best_is_the_last(collected):
    arms = [arm("plain", "Base"), lora_arm("q4", "QLoRA r4", 4, learning_rate=(1e-3, 3e-3))]
    study, paths = collected(arms)
    write_tuning(paths.tuning("q4"), (1e-3, 3e-3))
    found = made("tuning", (study, paths))
    assert [(row["learning_rate"], row["chosen"]) for row in found] == [
        ("0.001", ""),
        ("0.003", "yes"),
    ]
    assert "a better one may lie beyond: QLoRA r4." in paths.table("tuning")[1].read_text()
    assert made("costs", (study, paths))[0]["tried"] == "2"


def test_costs_are_those_of_all_steps_up_to_one(collected):
    found = {(row["arm"], row["step"]): row for row in made("costs", collected())}
    assert float(found["pruned", "0"]["seconds"]) == pytest.approx(70.1)
    assert float(found["pruned", "4"]["seconds"]) == pytest.approx(5 * 70.1)
    # Nothing beside the largest is in memory at a time.
    assert found["pruned", "4"]["peak_memory_bytes"] == found["pruned", "0"]["peak_memory_bytes"]


def test_perplexity_is_shown_beside_what_was_learnt_and_as_times_the_base_s(collected):
    study, paths = collected()
    for name, step, perplexity in (("plain", 0, 1.25), ("pruned", 4, 5.0)):
        write_perplexity(paths.checkpoint(name, 0, step).evaluation("sums"), perplexity)
    collect.run(study, paths)
    found = {row["arm"]: row for row in made("perplexity", (study, paths))}
    assert (found["plain"]["sums_perplexity"], found["plain"]["sums_perplexity_times"]) == (
        "1.25",
        "",
    )
    assert found["pruned"]["sums_perplexity_times"] == "4"
    assert found["pruned"]["model"] == "RIGSA, step 4"
    assert found["q1"]["sums_perplexity"] == ""
