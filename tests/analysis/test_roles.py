"""Parts are told from properties; no name matters."""

from dataclasses import replace

import pytest

from rigsa.analysis import roles
from rigsa.errors import ConfigError
from rigsa.study import Benchmark
from tests.analysis.made_up import arm, default_arms, imp_arm, lora_arm, make_study, sparse_arm


def test_parts_of_the_papers_study(study):
    assert [a.name for a in roles.base_arms(study)] == ["plain", "quantised"]
    assert [a.name for a in roles.imp_arms(study)] == ["pruned"]
    assert [(a.name, step) for a, step in roles.matched_arms(study)] == [("chance_mask", 4)]
    (series,) = roles.rank_series(study)
    assert (series.title, series.base) == ("QLoRA", "four_bit")
    assert roles.base_of(study, study.arms["q4"]).name == "quantised"
    assert roles.base_of(study, study.arms["pruned"]).name == "plain"


def test_families():
    found = [
        roles.family(item)
        for item in (
            arm("a", "A"),
            arm("b", "B", base="four_bit"),
            imp_arm("c", "C"),
            sparse_arm("d", "D", mask={"rule": "grad", "density": 0.05}),
            sparse_arm("e", "E"),
            lora_arm("f", "F", 4, base="full"),
            lora_arm("g", "G", 4),
            arm("h", "H", {"type": "neutral_residues"}),
        )
    ]
    assert found == ["base", "base_4bit", "imp", "mask", "dense", "lora", "lora_4bit", "other"]


def test_series_are_split_by_base_and_by_a_rank_that_comes_again():
    arms = [lora_arm(f"q{r}", f"QLoRA r{r}", r) for r in (16, 1)]
    arms += [lora_arm(f"l{r}", f"LoRA, rank {r}", r, base="full") for r in (1, 16)]
    arms += [lora_arm(f"m{r}", f"LoRA 2r, r={r}", r, base="full") for r in (1, 16)]
    series = roles.rank_series(make_study([arm("plain", "Base"), *arms]))
    assert [(s.title, [a.name for a in s.arms]) for s in series] == [
        ("QLoRA", ["q1", "q16"]),
        ("LoRA", ["l1", "l16"]),
        ("LoRA 2r", ["m1", "m16"]),
    ]


def test_series_are_split_by_how_alpha_follows_the_rank():
    arms = [lora_arm(f"d{r}", f"LoRA r{r}", r, alpha=2 * r) for r in (1, 4, 16)]
    arms += [lora_arm(f"c{r}", f"LoRA r{r}, alpha 32", r) for r in (1, 4)]
    arms.append(lora_arm("replayed", "LoRA r4, replay", 4, alpha=8, replay={"share": 0.1}))
    series = roles.rank_series(make_study([arm("plain", "Base"), *arms]))
    assert [(s.title, [a.name for a in s.arms]) for s in series] == [
        ("LoRA", ["d1", "d4", "d16"]),
        ("LoRA, alpha 32", ["c1", "c4"]),
        ("LoRA r4, replay", ["replayed"]),
    ]


@pytest.mark.parametrize(
    ("titles", "shared"),
    [
        (["QLoRA r1", "QLoRA r16"], "QLoRA"),
        (["LoRA (r=4)", "LoRA (r=8)"], "LoRA"),
        (["Adapter"], "Adapter"),
        (["SHiRA v2"], "SHiRA v2"),
        (["QLoRA 8", "QLoRA 16"], "QLoRA"),
        (["QLoRA r8"], "QLoRA"),
        (["LoRA r1, alpha 32", "LoRA r4, alpha 32"], "LoRA, alpha 32"),
        (["1", "2"], "Low rank"),
        (["one", "two"], "Low rank"),
    ],
)
def test_series_have_a_common_title(titles, shared):
    arms = [lora_arm(f"a{i}", title, i + 1) for i, title in enumerate(titles)]
    assert roles.rank_series(make_study(arms))[0].title == shared


def test_the_main_benchmark_is_asked_of_every_arm(study):
    assert roles.target_benchmark(study).name == "digits"
    assert [b.name for b in roles.source_benchmarks(study)] == ["sums", "pairs", "ends"]
    assert roles.benchmark_title(study, study.benchmarks["sums"]) == "Tiny GSM, 5-shot"
    assert roles.paper_name(study, study.benchmarks["sums"]) == "GSM8k"


def test_a_task_without_a_benchmark_is_a_mistake_in_the_study(study):
    only = {"digits": Benchmark("digits", "digits", 0)}
    lacking = replace(study, benchmarks=only)
    with pytest.raises(ConfigError, match=r"made_up\.yaml.*'sums'"):
        roles.source_benchmarks(lacking)


def test_steps_are_named_only_where_there_are_several():
    pruned, single = imp_arm("a", "RIGSA"), default_arms()[3]
    assert roles.step_title(pruned, 0) == "RIGSA, step 0 (dense)"
    assert roles.step_title(pruned, 4) == "RIGSA, step 4"
    assert roles.step_title(single, 0) == "Random mask"
