"""What figures are drawn on: their titles, their panels, and how they become pictures."""

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.grids import font_of, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Limits = tuple[float, float]

DOTS_PER_INCH = 100
TITLE_SIZES = (11, 9)  # in points: of a title, and of one that takes many lines
TITLE_MARGIN, TITLE_SPACING = 0.1, 1.25  # inches above and below, and lines
LEGEND_ENTRIES = 20
LEGEND_ROW = 0.2  # inches


def import_matplotlib() -> None:
    """All that figures are drawn with, which is imported when the first one is, unless this was called before."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure
    import matplotlib.ticker  # noqa: F401


def limits_of(values: Values) -> Limits:
    """The smallest and the largest finite value; never an empty interval."""
    array = as_array(values)
    finite = array[np.isfinite(array)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def figure_of(
    size: tuple[float, float], title: str | None, layout: Literal["constrained"] | None = "constrained"
) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout=layout)
    FigureCanvasAgg(figure)
    if title:
        text, points, _ = _title(title, size[0])
        # in inches from the top: as a share of a tall figure it would lie on the panels
        figure.suptitle(text, fontsize=points, y=1 - TITLE_MARGIN / size[1], va="top", linespacing=TITLE_SPACING)
    engine = figure.get_layout_engine()
    if title and engine is not None:
        # a layout leaves no room for a title whose place is given
        engine.set(rect=(0, 0, 1, 1 - room_for(title, size[0]) / size[1]))  # type: ignore[call-arg]
    return figure


def _title(title: str, width: float) -> tuple[str, int, int]:
    """A title in lines that fit into a figure of that width in inches, its size in points, and how many lines.

    Smaller, where it takes more than two lines.
    """
    points, (normal, small) = TITLE_SIZES[0], TITLE_SIZES
    room = (width - 0.2) * DOTS_PER_INCH
    for points in (normal, small):
        font = font_of(math.ceil(points * DOTS_PER_INCH / 72))
        lines = wrapped(title, lambda text, font=font: font.getlength(text) <= room)  # type: ignore[misc]
        if len(lines) <= 2:
            break
    return "\n".join(lines), points, len(lines)


def room_for(title: str | None, width: float) -> float:
    """What a title takes of the height of a figure of that width, both in inches."""
    if not title:
        return 0.0
    _, points, lines = _title(title, width)
    return 2 * TITLE_MARGIN + lines * points * TITLE_SPACING / 72


def panels_of(
    count: int, columns: int, size: tuple[float, float], *, title: str | None = None, legend_rows: int = 0
) -> "tuple[Figure, list[Axes]]":
    """`count` panels, each on a scale of its own."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width = size[0] * columns
    figure = figure_of((width, size[1] * rows + room_for(title, width) + 0.2 * legend_rows), title)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for panel in axes[count:]:
        panel.set_visible(False)
    return figure, list(axes[:count])


def multiples(
    count: int,
    columns: int,
    limits: Limits,
    *,
    title: str | None = None,
    titles: bool = False,
    right: float = 0.1,
    bottom: float = 0.5,
) -> "tuple[Figure, list[Axes]]":
    """`count` small panels on one scale, written at the edge. right, bottom: the margins there, in inches.

    Margins are given, not computed: a layout that measures every label takes two thirds of the time.
    """
    from matplotlib.ticker import MaxNLocator

    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width, height, left, gap = 1.9, 1.2, 0.45, 0.12 + 0.2 * titles
    across = left + columns * width + (columns - 1) * 0.12 + right
    top = 0.1 + room_for(title, across) + 0.2 * titles
    inches = (across, bottom + rows * height + (rows - 1) * gap + top)
    figure = figure_of(inches, title, layout=None)
    figure.subplots_adjust(
        left=left / inches[0],
        right=1 - right / inches[0],
        bottom=bottom / inches[1],
        top=1 - top / inches[1],
        wspace=0.12 / width,
        hspace=gap / height,
    )
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).reshape(-1)
    margin = 0.05 * (limits[1] - limits[0])
    axes[0].set_ylim(limits[0] - margin, limits[1] + margin)
    axes[0].xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes[0].yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    for panel in axes:
        panel.tick_params(labelsize=7)
    for panel in axes[count:]:
        panel.set_visible(False)
    return figure, list(axes[:count])


def image_of(figure: "Figure") -> Image.Image:
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")  # type: ignore[attr-defined]
