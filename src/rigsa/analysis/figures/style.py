"""How figures look: sizes, type, colours by arm family, and how they are saved."""

import colorsys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from rigsa.analysis import roles
from rigsa.files import whole_file
from rigsa.study import Arm, Study

PAGE, ROW = 7.0, 2.2  # inches: full width of a two-column page, height of a row of panels
GAP = 0.25  # inches between the columns of a page
DPI = 200
LEGEND = 6.5  # points
CROWD = 6  # curves from which a figure takes the page's width
RC = {
    # Shipped with matplotlib, so that a figure is the same on every machine.
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": LEGEND,
    "legend.frameon": False,
    "legend.handlelength": 2.0,
    "legend.columnspacing": 1.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "errorbar.capsize": 1.5,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a "$" in a title is a dollar
}
# Okabe and Ito's palette, told apart by all kinds of colour vision.
COLORS = {
    "base": "#666666",
    "base_4bit": "#8C6D46",
    "imp": "#0072B2",
    "mask": "#E69F00",
    "dense": "#000000",
    "lora": "#009E73",
    "lora_4bit": "#D55E00",
    "other": "#CC79A7",
}
MARKERS = {
    "base": "_",
    "base_4bit": "_",
    "imp": "osv^P",
    "mask": "DXd*p",
    "dense": "sP*ov",
    "lora": "^<>vd",
    "lora_4bit": "vs><d",
    "other": "hPXpH",
}
LINES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
LETTERS = 0.42  # lightness of letters, at the most
SHADES = (0.0, 0.22, -0.16, 0.36)  # lightness added for the first, second, … arm of a family


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of an arm or a series."""

    color: str | tuple[float, float, float]
    marker: str
    line: str | tuple


@contextmanager
def applied() -> Iterator[None]:
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **RC, "backend": "agg"}):
        yield


def figure(study: Study, *, columns: int = 2, rows: float = 1) -> Figure:
    """One or both columns of a page wide; a study's figures.width and .height set page and row."""
    width = study.figures.get("width", PAGE) if columns == 2 else column_width(study) / 72
    height = study.figures.get("height", ROW) * rows
    return Figure(figsize=(width, height), layout="constrained")


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure to set text on: bare axes in points, from the top left corner."""
    made = Figure(figsize=(width / 72, height / 72))
    axes = made.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return made, axes


def column_width(study: Study) -> float:
    """In points."""
    return 72 * (study.figures.get("width", PAGE) - GAP) / 2


def sentence(study: Study, text: str) -> Figure:
    """In place of a figure for which a study has no arms."""
    lines = textwrap.wrap(text, 60)
    made, axes = canvas(column_width(study), 24 + 10 * len(lines))
    axes.text(12, 12, "\n".join(lines), va="top")
    return made


def save(made: Figure, files: Sequence[Path]) -> None:
    """In the formats of the files' endings, byte for byte the same each time."""
    nothing_of_today = {
        ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        ".png": {"Software": None},
    }
    for path in files:
        with whole_file(path) as partial:
            made.savefig(
                partial, format=path.suffix[1:], dpi=DPI, metadata=nothing_of_today[path.suffix]
            )


def looks(study: Study) -> dict[str, Look]:
    """By arm name; a series of ranks looks alike. figures.colors names arms or families."""
    chosen = study.figures.get("colors", {})
    groups: list[tuple[str, list[Arm]]] = [
        (roles.family(series.arms[0]), list(series.arms)) for series in roles.rank_series(study)
    ]
    in_series = {arm.name for _, arms in groups for arm in arms}
    groups += [(roles.family(a), [a]) for a in study.arms.values() if a.name not in in_series]
    found, seen = {}, dict.fromkeys(COLORS, 0)
    for kind, arms in groups:
        place = seen[kind]
        seen[kind] += 1
        shade = shaded(chosen.get(kind, COLORS[kind]), SHADES[place % len(SHADES)])
        marker = MARKERS[kind][place % len(MARKERS[kind])]
        for arm in arms:
            color = chosen.get(arm.name, shade)
            found[arm.name] = Look(color, marker, LINES[place % len(LINES)])
    return found


def readable(color: str | tuple[float, float, float]) -> tuple[float, float, float]:
    """The colour, as dark as small letters have to be."""
    hue, light, saturation = colorsys.rgb_to_hls(*to_rgb(color))
    return colorsys.hls_to_rgb(hue, min(light, LETTERS), saturation)


def shaded(color: str, lightness: float) -> str | tuple[float, float, float]:
    if not lightness:
        return color
    hue, light, saturation = colorsys.rgb_to_hls(*to_rgb(color))
    return colorsys.hls_to_rgb(hue, min(max(light + lightness, 0.08), 0.82), saturation)
