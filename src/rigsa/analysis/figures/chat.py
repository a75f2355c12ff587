"""Figure 6: a chat with an adapted model that ends in its reading a digit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch

from rigsa.analysis.figures import style, typeset
from rigsa.errors import FileError
from rigsa.files import read_json
from rigsa.paths import ResultPaths
from rigsa.study import Study

SIZE, IMAGE_SIZE, PAD, GAP, MARGIN = 6.5, 5.5, 5.0, 5.0, 5.0  # points
LABEL = 9.0  # points for the name above a bubble
WIDEST = 0.78  # of the figure's width
FILLS = {"user": "#dcebf7", "assistant": "#f1f1f1", "system": "#fdf3dc"}
NAMES = {"user": "User", "assistant": "Model", "system": "System"}


@dataclass(frozen=True)
class Line:
    """One line of text in points."""

    text: str
    size: float
    font: FontProperties = typeset.SANS

    @property
    def leading(self) -> float:
        """Rows of an image stand closer, so that it keeps its shape."""
        return self.size * (1.05 if self.font is typeset.MONO else typeset.LINE)


def draw(study: Study, paths: ResultPaths) -> Figure:
    return draw_chat(study, read_turns(paths.chat))


def read_turns(path: Path) -> list[dict[str, str]]:
    """[{"role", "content"}, …], or the same below the key "messages"."""
    content = read_json(path)
    turns = content.get("messages") if isinstance(content, dict) else content
    if not isinstance(turns, list) or not turns or not all(map(_is_turn, turns)):
        raise FileError(
            f'{path} must be a list of turns {{"role": user, assistant or system, "content": '
            "text}; delete it, and the next run makes it again."
        )
    return turns


def draw_chat(study: Study, turns: Sequence[dict[str, str]]) -> Figure:
    width = style.column_width(study)
    bubbles = [_lines(turn["content"], width * WIDEST - 2 * PAD) for turn in turns]
    heights = [sum(line.leading for line in lines) + 2 * PAD for lines in bubbles]
    height = sum(heights) + (LABEL + GAP) * len(turns) - GAP + 2 * MARGIN
    figure, axes = style.canvas(width, height)
    top = MARGIN
    for turn, lines, tall in zip(turns, bubbles, heights, strict=True):
        _draw_bubble(axes, turn["role"], lines, top, tall, width)
        top += LABEL + tall + GAP
    return figure


def _lines(content: str, most: float) -> list[Line]:
    """Images are set smaller, in a type that keeps columns, with half a line before and after."""
    found: list[Line] = []
    for is_image, lines in typeset.blocks(typeset.drawable(content.strip("\n"))):
        if found:
            found.append(Line("", SIZE / 3))
        if is_image:
            size = min(IMAGE_SIZE, most / (typeset.MONO_ADVANCE * len(lines[0])))
            found += [Line(text, size, typeset.MONO) for text in lines]
        else:
            found += [Line(text, SIZE) for text in typeset.wrapped("\n".join(lines), SIZE, most)]
    return found


def _draw_bubble(
    axes: Axes, role: str, lines: list[Line], top: float, tall: float, width: float
) -> None:
    widths = [typeset.width(line.text, line.size, line.font) for line in lines]
    wide = max(*widths, 12.0) + 2 * PAD
    left = width - MARGIN - wide if role == "user" else MARGIN
    right_side = role == "user"
    axes.text(
        left + wide - 2 if right_side else left + 2,
        top + LABEL - 3,
        NAMES[role],
        fontsize=5.5,
        color="#666666",
        ha="right" if right_side else "left",
    )
    box = FancyBboxPatch(
        (left, top + LABEL), wide, tall, boxstyle="round,pad=0,rounding_size=5", linewidth=0
    )
    box.set_facecolor(FILLS[role])
    axes.add_patch(box)
    base = top + LABEL + PAD
    for line in lines:
        place = (left + PAD, base + 0.95 * line.size)
        axes.text(*place, line.text, fontproperties=line.font, fontsize=line.size)
        base += line.leading


def _is_turn(turn: object) -> bool:
    """A model may say nothing: then its bubble is empty."""
    return (
        isinstance(turn, dict)
        and turn.get("role") in NAMES
        and isinstance(turn.get("content"), str)
    )
