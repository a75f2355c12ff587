"""Figures: drawn for any study, the same bytes each time, and what they show is right."""

import json
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from docutils.core import publish_parts
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined
from matplotlib.text import Text

from rigsa.analysis import collect, figures, roles, scores, tables
from rigsa.analysis.comparison import Falls
from rigsa.analysis.figures import (
    chat,
    curves,
    digit,
    forgetting,
    labels,
    panels,
    parameters,
    prompt,
    pruning,
    ranks,
    style,
)
from rigsa.analysis.figures.typeset import blocks, width, wrapped
from rigsa.analysis.statistics import Estimate
from rigsa.errors import FileError, RigsaError
from tests.analysis.made_up import (
    arm,
    default_arms,
    imp_arm,
    lora_arm,
    make_study,
    write_evaluation,
    write_samples,
)

SCORES = ("figure2", "figure3", "figure4", "figure7")
IMAGE = "0042\n0900\n1234\n0000\n"


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("bare", [False, True])
def test_a_figure_is_the_same_bytes_each_time(collected, name, bare):
    study, paths = collected([arm("plain", "Base")] if bare else None)
    figures.run(name, study, paths)
    first = [path.read_bytes() for path in paths.figure(name)]
    figures.run(name, study, paths)
    assert [path.read_bytes() for path in paths.figure(name)] == first
    assert first[0].startswith(b"%PDF")
    assert b"/CreationDate" not in first[0]
    assert first[1].startswith(b"\x89PNG")


def texts(figure) -> str:
    return " ".join(item.get_text() for axes in figure.axes for item in axes.texts)


def test_a_study_without_such_arms_says_so(collected):
    study, paths = collected([arm("plain", "Base")])
    assert "no arm with several iterations." in texts(pruning.draw(study, paths))
    assert "no low-rank adapters" in texts(ranks.draw(study, paths))
    assert "trains no adapter." in texts(parameters.draw(study, paths))
    assert "no trained arm" in texts(forgetting.draw(study, paths))


def test_figure_2_shows_every_step_and_the_mask_at_the_last(collected):
    study, paths = collected()
    read = scores.read(study, paths)
    first = pruning.draw(study, paths).axes[0]
    line, point = (container.lines[0] for container in first.containers)
    expected = [
        read.estimate(study.arms["pruned"], t, study.benchmarks["digits"]) for t in range(5)
    ]
    assert line.get_ydata() == pytest.approx([100 * score.value for score in expected])
    assert point.get_xdata() == pytest.approx([4], abs=0.1)
    assert [t.get_text() for t in first.get_xticklabels()][4] == "4\n3.46 %"


def test_steps_carry_densities_only_if_all_arms_share_them(collected):
    study, paths = collected([*default_arms(), imp_arm("other", "Other", density=0.01)])
    first = pruning.draw(study, paths).axes[0]
    assert [t.get_text() for t in first.get_xticklabels()] == list("01234")


shares = st.lists(st.floats(0, 1), min_size=1, max_size=5)


def finished(points: list[Estimate], base: float, chance: float) -> panels.Panel:
    study = make_study()
    axes = style.figure(study).subplots()
    panel = panels.Panel(axes, study.benchmarks["sums"], chance=chance)
    panel.bands.append((study.arms["plain"], Estimate(base, 0.01)))
    looks = style.looks(study)
    panel.plot(range(len(points)), points, looks["pruned"], line=True)
    panel.finish(looks)
    return panel


@settings(deadline=None, max_examples=30)
@example([1.0, 0.5625], 0.125, 0)
@given(shares, st.floats(0, 1), st.sampled_from([0, 0.1, 0.5]))
def test_every_point_is_inside_and_the_base_never_lost(values, base, chance):
    panel = finished([Estimate(value, 0.02) for value in values], base, chance)
    low, high = panel.axes.get_ylim()
    assert low < 100 * min(values) - 1.99
    assert high > 100 * max(values) + 1.99
    assert high - low >= panels.SMALLEST_SPAN * 0.5
    for value, title in ((base, "Base"), (chance, "chance")):
        named = any(title in text.get_text() for text in panel.axes.texts)
        assert named != (low <= 100 * value <= high), (low, high, value)


def test_a_far_chance_does_not_press_the_points_together():
    panel = finished([Estimate(0.95, 0.01), Estimate(0.97, 0.01)], 0.96, 0.1)
    assert panel.axes.get_ylim()[0] > 80
    assert panel.axes.texts[0].get_text() == "↓ chance 10 %"


def dominated(point, others) -> bool:
    return any(
        a >= point[0] and f <= point[1] and (a > point[0] or f < point[1]) for a, f in others
    )


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(points):
    expected = sorted({point for point in points if not dominated(point, points)})
    assert forgetting.pareto_front(points) == expected


def test_mean_fall_is_the_mean_over_source_tasks(collected):
    study, paths = collected()
    falls, pruned = Falls(study, paths), study.arms["pruned"]
    each = [falls.of(pruned, 0, benchmark) for benchmark in roles.source_benchmarks(study)]
    mean = forgetting.mean_fall(falls, pruned, 0)
    assert mean.value == pytest.approx(np.mean([fall.mean for fall in each]))
    assert mean.error == pytest.approx(np.sqrt(sum(fall.error**2 for fall in each)) / 3)


def test_labels_of_near_points_do_not_cover_each_other():
    look = style.looks(make_study())["pruned"]
    figure = style.figure(make_study())
    drawn = labels.Labels(figure.subplots())
    drawn.axes.set(xlim=(0, 100), ylim=(0, 100))
    for number in range(9):
        drawn.add(50 + 2 * (number % 3), 50 + 3 * (number // 3), str(number), look)
    drawn.draw()
    figure.draw_without_rendering()  # Only now they are where they are drawn.
    boxes = [Text.get_window_extent(text) for text in drawn.axes.texts]
    assert len(boxes) == 9
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_crowd_is_not_pressed_together_by_who_learnt_nothing(collected):
    arms = [arm("plain", "Base"), *(lora_arm(f"l{n}", f"Low {n}", 4, "full") for n in range(13))]
    study, paths = collected(arms)
    low = paths.checkpoint("l3", 0, 0)
    write_evaluation(low.evaluation("digits"), study.benchmarks["digits"], np.eye(1, 60)[0])
    write_samples(low.samples("digits"), np.eye(1, 60)[0])
    collect.run(study, paths)
    figure = forgetting.draw(study, paths)
    assert "at 2 %" in texts(figure)
    assert figure.axes[0].get_xlim()[0] > 30


def test_what_only_last_steps_are_asked_has_a_fall_there_alone(collected):
    study, paths = collected(last_only=("sums",))
    assert not paths.checkpoint("pruned", 0, 3).evaluation("sums").exists()
    falls, pruned = Falls(study, paths), study.arms["pruned"]
    assert forgetting.mean_fall(falls, pruned, 3) is None
    assert forgetting.mean_fall(falls, pruned, 4).value > 0
    for name in SCORES:
        figures.run(name, study, paths)
    for name in tables.MODULES:
        tables.run(name, study, paths)
    shown = paths.table("summary")[0].read_text().splitlines()
    dense, last = (next(line for line in shown if line.startswith(f"pruned,{n},")) for n in (0, 4))
    assert dense.count(",,") > last.count(",,")


def test_curves_have_every_trained_checkpoint_once(study):
    points = [(a.name, step) for curve in curves.curves(study) for a, step in curve.points]
    trained = [(c.arm, c.step) for c in study.checkpoints() if study.arms[c.arm].trained]
    assert sorted(points) == sorted(trained)


def test_looks_differ_between_families_and_follow_the_study():
    looks = style.looks(make_study(figures={"colors": {"imp": "#123456", "q4": "#654321"}}))
    assert looks["pruned"].color == "#123456"
    assert looks["q4"].color == "#654321"
    assert looks["q1"].color == style.COLORS["lora_4bit"]
    arms = [*default_arms(), *(imp_arm(f"i{n}", f"I{n}") for n in range(3))]
    several = style.looks(make_study(arms))
    assert len({several[name] for name in ("pruned", "i0", "i1", "i2", "chance_mask")}) == 5


def test_size_follows_the_study():
    study = make_study(figures={"width": 5.0, "height": 1.5})
    assert tuple(style.figure(study, rows=2).get_size_inches()) == (5.0, 3.0)
    assert style.figure(study, columns=1).get_figwidth() == pytest.approx(2.375)


def test_counts_are_short():
    counts = (1104, 20_000, 1_572_864, 1.7e9, 500)
    assert [parameters.short_count(n) for n in counts] == [
        "1.1 k",
        "20 k",
        "1.57 M",
        "1.7 B",
        "500",
    ]


def write_item(paths, study, image: object) -> Path:
    path = paths.task_files(study.target_task)[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"image": image, "label": 3, "index": 12}) + "\n")
    return path


def test_figure_1_sets_each_digit_at_its_pixel(collected):
    study, paths = collected([arm("plain", "Base")])
    write_item(paths, study, IMAGE)
    image, text = digit.draw(study, paths).axes
    assert image.images[0].get_array().tolist()[1] == [0, 9, 0, 0]
    assert {t.get_position(): t.get_text() for t in text.texts}[(1, 1)] == "9"
    assert len(text.texts) == 16


@pytest.mark.parametrize("image", ["", "01\n012\n", "ab\ncd\n", 7, None])
def test_a_first_item_without_an_image_is_named(collected, image):
    study, paths = collected([arm("plain", "Base")])
    path = write_item(paths, study, image)
    with pytest.raises(FileError) as error:
        digit.draw(study, paths)
    assert str(path) in str(error.value)


def test_the_prompt_is_whole_and_its_last_space_visible(study):
    asked = f"<|im_start|>user\nWhich?\n{IMAGE}<|im_end|>\n<|im_start|>assistant\nThe digit is "
    drawn = prompt.draw_prompt(study, asked, "The digit is ")
    lines: dict[float, str] = {}
    for text in drawn.axes[0].texts:
        lines[text.get_position()[1]] = lines.get(text.get_position()[1], "") + text.get_text()
    assert "\n".join(lines.values()) == asked[:-1] + "␣"


TURNS = [
    {"role": "user", "content": f"Costs $3 or $4?\n{IMAGE}"},
    {"role": "assistant", "content": "The digit is 3"},
]


@pytest.mark.parametrize("content", [TURNS, {"messages": TURNS}])
def test_a_chat_is_drawn_whole(tmp_path: Path, study, content):
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(content))
    drawn = texts(chat.draw_chat(study, chat.read_turns(path)))
    for part in ("Costs $3 or $4?", "0042", "1234", "The digit is 3", "User", "Model"):
        assert part in drawn


@pytest.mark.parametrize(
    "content", [[], {}, [{"role": "user"}], [{"role": "king", "content": "x"}], ["x"], 3]
)
def test_a_file_that_is_no_chat_is_named(tmp_path: Path, content):
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FileError, match=r"chat\.json must be a list of turns"):
        chat.read_turns(path)


@settings(deadline=None)
@given(st.text("ab 1\n", max_size=80))
def test_wrapping_loses_no_letter_and_keeps_the_width(text: str):
    lines = wrapped(text, 7, 60)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    assert all(width(line.strip(), 7) <= 60 for line in lines)


@given(st.lists(st.sampled_from(["word", "0123", "01234", "12"]), min_size=1, max_size=12))
def test_blocks_are_all_lines_and_images_are_four_alike(lines: list[str]):
    found = list(blocks("\n".join(lines)))
    assert [line for _, part in found for line in part] == lines
    for is_image, part in found:
        if is_image:
            assert len(part) >= 4
            assert len({len(line) for line in part}) == 1


def test_an_unknown_figure_is_one_sentence(study):
    with pytest.raises(RigsaError, match="'figure9'"):
        figures.run("figure9", study, None)


@pytest.mark.parametrize(
    ("kind", "names"), [("figure", figures.MODULES), ("table", tables.MODULES)]
)
def test_every_result_has_a_caption(kind, names):
    environment = Environment(undefined=StrictUndefined)
    text = Path(f"workflow/report/{kind}.rst").read_text()
    for name in names:
        job = SimpleNamespace(wildcards=SimpleNamespace(**{kind: name}))
        caption = environment.from_string(text).render(snakemake=job)
        # Docutils raises on what it would warn of.
        html = publish_parts(caption, writer="html", settings_overrides={"halt_level": 2})
        assert len(html["body"]) > 40


def test_a_word_without_end_is_broken_within_the_width() -> None:
    """A model that forgot how to end a turn writes one; it must not take minutes to set."""
    text = "left " + "#" * 5000
    lines = wrapped(text, 6.5, 200.0)
    assert "".join(lines) == text.replace(" ", "")
    assert max(width(line, 6.5) for line in lines) <= 200.0
    assert min(width(line, 6.5) for line in lines[1:-1]) > 190.0
