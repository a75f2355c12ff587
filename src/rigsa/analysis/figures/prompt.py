"""Figure 5: the prompt of one item of the target task, as the model reads it."""

import re

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from rigsa.analysis.figures import style
from rigsa.analysis.figures.digit import first_item
from rigsa.analysis.figures.typeset import LINE, MONO, MONO_ADVANCE, drawable
from rigsa.paths import ResultPaths
from rigsa.study import Study

SPECIAL = re.compile(r"(<\|[^|<>]*\|>)")
SIZE, MARGIN = 6.5, 7.0  # points
SPECIAL_COLOR, OPENING_COLOR = "#0072B2", "#D55E00"


def draw(study: Study, paths: ResultPaths) -> Figure:
    from rigsa.models.loading import load_tokenizer
    from rigsa.tasks.textual_digits import ANSWER_OPENING, messages

    tokenizer = load_tokenizer(paths.base_model(study.base_model))
    question = messages(first_item(study, paths))[:1]
    asked = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    return draw_prompt(study, asked + ANSWER_OPENING, ANSWER_OPENING)


def draw_prompt(study: Study, prompt: str, opening: str = "") -> Figure:
    """`prompt` as it goes into the tokenizer; special tokens and `opening` are coloured."""
    width = style.column_width(study)
    letters = int((width - 2 * MARGIN) / (SIZE * MONO_ADVANCE))
    prompt = drawable(prompt, MONO)
    body = prompt.removesuffix(opening) if opening else prompt
    lines = [piece for line in body.split("\n") for piece in _broken(line, letters)]
    height = len(lines) * SIZE * LINE + 2 * MARGIN
    figure, axes = style.canvas(width, height)
    box = FancyBboxPatch((1, 1), width - 2, height - 2, boxstyle="round,pad=0,rounding_size=4")
    box.set(facecolor="#fafafa", edgecolor="#bbbbbb", linewidth=0.6)
    axes.add_patch(box)
    for number, line in enumerate(lines):
        pieces = [
            (p, SPECIAL_COLOR if SPECIAL.match(p) else "#222222") for p in SPECIAL.split(line)
        ]
        if number == len(lines) - 1 and prompt != body:
            # The space that ends the prompt is part of it, so it is made visible.
            shown = re.sub(" +$", lambda spaces: "␣" * len(spaces[0]), opening)
            pieces.append((shown, OPENING_COLOR))
        column = 0
        for text, color in pieces:
            axes.text(
                MARGIN + column * SIZE * MONO_ADVANCE,
                MARGIN + (number + 0.82) * SIZE * LINE,
                text,
                fontproperties=MONO,
                fontsize=SIZE,
                color=color,
            )
            column += len(text)
    return figure


def _broken(line: str, letters: int) -> list[str]:
    return [line[i : i + letters] for i in range(0, len(line), letters)] or [""]
