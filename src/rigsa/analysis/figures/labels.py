"""Short texts beside points, where they cover each other least."""

from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from rigsa.analysis.figures import style
from rigsa.analysis.figures.style import Look

SIZE = 5.5  # points
# Of a letter's size; half a marker, in points.
WIDTH, MARKER = 0.62, 2.5
# From the point to the nearer corner, the first that covers nothing: near it, then on a line.
NEAR = ((3, 3), (3, -3), (-3, 3), (-3, -3))
FAR = tuple((x * r, y * r) for r in (9, 15) for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1)))
FAR += tuple((x, y) for r in (14, 22) for x, y in ((0, r), (0, -r), (r, 0), (-r, 0)))

Box = tuple[float, float, float, float]


@dataclass
class Labels:
    """Collects the labels of an axes, and sets them once all points are known."""

    axes: Axes
    texts: list[tuple[float, float, str, Look]] = field(default_factory=list)

    def add(self, x: float, y: float, text: str, look: Look) -> None:
        """In data coordinates; a point without a text is kept free of others' all the same."""
        self.texts.append((x, y, text, look))

    def draw(self) -> None:
        """After limits and scales are set, which decide where there is room."""
        figure = self.axes.figure
        figure.draw_without_rendering()
        scale = 72 / figure.dpi
        places = [scale * self.axes.transData.transform(text[:2]) for text in self.texts]
        taken = [(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in places]
        whole = [scale * edge for edge in self.axes.bbox.extents]
        for (x, y, text, look), place in zip(self.texts, places, strict=True):
            if not text:
                continue
            boxes = [_box(place, offset, text) for offset in (*NEAR, *FAR)]
            cost = [
                sum(_shared(box, other) for other in taken) + _outside(box, whole) for box in boxes
            ]
            best = int(np.argmin(np.round(cost, 3)))
            taken.append(boxes[best])
            self._write((x, y), text, look, best)

    def _write(self, place: tuple[float, float], text: str, look: Look, best: int) -> None:
        x, y = (*NEAR, *FAR)[best]
        line = {
            "arrowstyle": "-",
            "color": look.color,
            "linewidth": 0.4,
            "shrinkA": 0,
            "shrinkB": 2,
        }
        self.axes.annotate(
            text,
            place,
            xytext=(x, y),
            textcoords="offset points",
            horizontalalignment={1: "left", 0: "center", -1: "right"}[int(np.sign(x))],
            verticalalignment={1: "bottom", 0: "center", -1: "top"}[int(np.sign(y))],
            fontsize=SIZE,
            color=style.readable(look.color),
            zorder=4,
            arrowprops=line if best >= len(NEAR) else None,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )


def _box(place: np.ndarray, offset: tuple[float, float], text: str) -> Box:
    """Of a text at an offset from a point, in points."""
    size = WIDTH * SIZE * len(text), SIZE
    low = [p + d - s * (1 - np.sign(d)) / 2 for p, d, s in zip(place, offset, size, strict=True)]
    return low[0], low[1], low[0] + size[0], low[1] + size[1]


def _shared(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _outside(box: Box, whole: list[float]) -> float:
    """What of it is not within the axes."""
    inside = _shared(box, tuple(whole))
    return (box[2] - box[0]) * (box[3] - box[1]) - inside
