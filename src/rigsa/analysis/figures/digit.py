"""Figure 1: one digit of the target task as an image, beside the text that the model is given."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rigsa.analysis.figures import style
from rigsa.errors import FileError
from rigsa.files import read_jsonl
from rigsa.paths import ResultPaths
from rigsa.study import Study


def draw(study: Study, paths: ResultPaths) -> Figure:
    document = first_item(study, paths)
    pixels = np.array([[int(pixel) for pixel in row] for row in document["image"].split()])
    rows, columns = pixels.shape
    figure = style.figure(study, columns=1, rows=0.78)
    image, text = figure.subplots(1, 2)
    for axes, title in ((image, "(a) Image"), (text, "(b) Text")):
        axes.set_title(title)
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.spines[:].set(visible=True, linewidth=0.5, color="#999999")
    image.imshow(pixels, cmap="gray_r", vmin=0, vmax=9, interpolation="nearest")
    _draw_text(text, pixels, figure.get_figwidth())
    return figure


def first_item(study: Study, paths: ResultPaths) -> dict:
    """First test item of the target task: {"image": rows of digits, "label", "index"}."""
    path = paths.task_files(study.target_task)[2]
    documents = read_jsonl(path)
    image = documents[0].get("image") if documents else None
    rows = image.split() if isinstance(image, str) else []
    if not rows or not all(row.isdecimal() and len(row) == len(rows[0]) for row in rows):
        raise FileError(
            f'{path}:1 has no "image" of equally long rows of digits, which figures 1 and 5 show.'
        )
    return documents[0]


def _draw_text(axes: Axes, pixels: np.ndarray, width: float) -> None:
    """Every digit stands where its pixel is; zeros are grey, so that the shape can be seen."""
    size = min(72 * width * 0.42 / pixels.shape[1] * 0.95, 9)
    for (row, column), value in np.ndenumerate(pixels):
        axes.text(
            column,
            row,
            str(value),
            family="DejaVu Sans Mono",
            fontsize=size,
            ha="center",
            va="center_baseline",
            color="#b0b0b0" if value == 0 else "#000000",
        )
