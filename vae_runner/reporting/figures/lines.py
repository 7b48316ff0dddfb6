"""Vectors and series as lines: small multiples on one scale."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.figures.canvas import LEGEND_ROW, Limits, image_of, limits_of, multiples
from vae_runner.reporting.grids import MARK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANNELS = ({"alpha": 0.35, "linewidth": 2.2}, {"linewidth": 1.2}, {"linewidth": 1.0, "linestyle": ":"})
SERIES = ({"color": "0.55", "linewidth": 2.2}, {"color": "tab:red"}, {"color": "tab:blue", "linestyle": ":"})


def line_plots(
    series: Mapping[str, Values],
    columns: int = 4,
    *,
    titles: Sequence[str] | None = None,
    title: str | None = None,
    limits: Limits | None = None,
    border: float | None = None,
) -> Image.Image:
    """Small multiples of plain vectors: one panel per example, one line per series.

    series: name -> (N, D), all of one shape, or (N, T, channels), each channel in a colour of its own; more than one
    makes a legend.
    limits: of the value axis; by default those of the first series, so that a bad reconstruction moves no axis.
    border: where a red line stands in each panel.
    """
    arrays = {name: _channels(values) for name, values in series.items()}
    first = next(iter(arrays.values()))
    # alone, channels need not be pale
    styles = SERIES if first.shape[2] == 1 else CHANNELS[len(arrays) == 1 :]
    scale = limits or limits_of(first)
    across = len(arrays) if min(columns, len(first)) > 1 else 1  # one panel is as wide as one entry of the legend
    below = len(arrays) - across if len(arrays) > 1 else 0
    figure, panels = multiples(
        len(first), columns, scale, title=title, titles=bool(titles), bottom=0.5 + LEGEND_ROW * below
    )
    marker = "o" if first.shape[1] <= 16 else None
    for index, panel in enumerate(panels):
        for (name, values), style in zip(arrays.items(), styles, strict=False):
            for channel, line in enumerate(values[index].T):
                own = {"color": f"C{channel % 10}", "label": "" if channel else name, **style}
                panel.plot(line, marker=marker, markersize=3, **own)  # type: ignore[arg-type]
                if marker is None:
                    _draw_lone(panel, line, own)
        if border is not None:
            panel.axvline(border, color=tuple(part / 255 for part in MARK), linewidth=0.8)
        if titles:
            panel.set_title(titles[index], fontsize=9)
    if len(arrays) > 1:
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="lower center", ncols=across, frameon=False, fontsize=9
        )
    return image_of(figure)


def line_fans(
    series: Values,
    values: Sequence[float],
    *,
    titles: Sequence[str] | None = None,
    title: str | None = None,
    columns: int = 4,
    limits: Limits | None = None,
    scale: str = "value of the latent",
) -> Image.Image:
    """How a vector changes with one number: a panel per group, a line per value, coloured from low to high.

    series: (groups, len(values), D). scale: what the values are.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    array = as_array(series)
    limits = limits or limits_of(array)
    figure, panels = multiples(len(array), columns, limits, title=title, titles=bool(titles), right=1.0)
    between, colours = Normalize(min(values), max(values)), colormaps["viridis"]
    for index, panel in enumerate(panels):
        for value, line in zip(values, array[index], strict=True):
            panel.plot(line, color=colours(between(value)), linewidth=1.2)
        if titles:
            panel.set_title(titles[index], fontsize=9)
    bottom, top, inch = panels[-1].get_position().y0, panels[0].get_position().y1, 1 / figure.get_figwidth()
    place = figure.add_axes((1 - 0.8 * inch, bottom, 0.12 * inch, top - bottom))
    figure.colorbar(ScalarMappable(between, colours), cax=place)
    place.set_ylabel(scale, fontsize=8)
    place.tick_params(labelsize=8)
    return image_of(figure)


def _draw_lone(panel: "Axes", line: np.ndarray, style: dict[str, Any]) -> None:
    """Values between two gaps, through which no line goes."""
    there = np.pad(np.isfinite(line), 1)
    (lone,) = np.nonzero(there[1:-1] & ~there[:-2] & ~there[2:])
    if len(lone):
        panel.plot(lone, line[lone], ".", color=style["color"], alpha=style.get("alpha"), markersize=4)


def _channels(values: Values) -> np.ndarray:
    """(N, T, channels)."""
    array = as_array(values)
    return array if array.ndim == 3 else array.reshape(len(array), -1, 1)
