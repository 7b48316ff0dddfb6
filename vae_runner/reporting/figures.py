"""Figures drawn with matplotlib, as Pillow images.

No pyplot: it keeps every figure alive and is not safe in threads. Equal values give equal pixels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image
from torch import Tensor

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.grids import MARK, font_of, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Limits = tuple[float, float]

DOTS_PER_INCH = 100
TITLE_SIZES = (11, 9)  # in points: of a title, and of one that takes many lines
TITLE_MARGIN, TITLE_SPACING = 0.1, 1.25  # inches above and below, and lines
LEGEND_ENTRIES = 20
LEGEND_ROW = 0.2  # inches
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
    figure, panels = _multiples(
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
    return _image(figure)


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
    figure, panels = _multiples(len(array), columns, limits, title=title, titles=bool(titles), right=1.0)
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
    return _image(figure)


def latent_map(
    codes: Values,
    labels: Values | None = None,
    class_names: Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Image.Image:
    """Where the codes lie in two dimensions, coloured by class.

    codes: (N, *latent), flattened; two dimensions are shown as they are, more through their first two principal
    components, one as a histogram. labels: (N,) classes, or (N, F) factors of which the first is shown; a negative
    class is hidden and drawn in grey.
    """
    from matplotlib.ticker import MaxNLocator

    points = _vectors(codes)
    classes = np.zeros(len(points), int) if labels is None else as_array(labels).reshape(len(points), -1)[:, 0]
    finite = np.isfinite(points).all(1)
    points, classes = points[finite], classes[finite]

    figure = _figure((5.4, 4.4), title)
    axes = figure.add_subplot()
    if points.shape[1] == 1:
        axes.set(xlabel="$z_1$", ylabel="examples")
    elif points.shape[1] == 2:
        axes.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal", adjustable="datalim")
    else:
        points, shares = principal_components(points)
        axes.set(
            xlabel=f"1st principal component ({shares[0]:.0%} of the variance)",
            ylabel=f"2nd principal component ({shares[1]:.0%})",
            aspect="equal",
            adjustable="datalim",
        )
        axes.xaxis.set_major_locator(MaxNLocator(6))
    _draw_codes(figure, axes, points, classes, class_names, coloured=labels is not None)
    return _image(figure)


def kl_bars(kl_units: Values | Sequence[Values], *, active: float = 0.01, title: str | None = None) -> Image.Image:
    """The KL term of each latent unit in nats per example, a mean over a batch; one array per level of a ladder.

    active: units below it are drawn pale.
    """
    from matplotlib.ticker import MaxNLocator

    levels = [kl_units] if isinstance(kl_units, Tensor | np.ndarray) else list(kl_units)
    arrays = [as_array(level).reshape(-1).astype(float) for level in levels]
    together = np.concatenate(arrays)
    figure = _figure((7.0, 3.2), title)
    axes = figure.add_subplot()
    start = 0
    for level, values in enumerate(arrays):
        colour = f"C{level % 10}"
        bars = axes.bar(np.arange(start, start + len(values)), np.nan_to_num(values), color=colour, width=0.85)
        for bar, value in zip(bars, values, strict=True):
            bar.set_alpha(1.0 if value > active else 0.3)
        if len(arrays) > 1:
            bars.set_label(f"level {level + 1}: {values.sum():.2f} nats")
        start += len(values)
    if len(arrays) > 1:
        axes.legend(frameon=False)
    axes.set(xlabel="latent unit", ylabel="KL (nats)", xlim=(-0.7, len(together) - 0.3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    count = int((together > active).sum())
    axes.set_title(
        f"{together.sum():.2f} nats, {count} of {len(together)} units with more than {active:g} nats", fontsize=10
    )
    return _image(figure)


def curves(
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    metrics: Sequence[str],
    *,
    x: str = "step",
    title: str | None = None,
) -> Image.Image:
    """A panel per metric, a colour per run; the training split dashed, every other split solid.

    runs: name -> the rows of its metrics.jsonl, each with `split`, `x` and some of the metrics. Rows that lack one of
    them are left out.
    """
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    palette = colormaps["tab10"] if len(runs) <= 10 else colormaps["viridis"].resampled(len(runs))
    colours = {name: palette(index) for index, name in enumerate(runs)}
    legend = {name: Line2D([], [], color=colours[name]) for name in list(runs)[:LEGEND_ENTRIES]}
    if len(runs) > LEGEND_ENTRIES:
        legend[f"and {len(runs) - LEGEND_ENTRIES} more"] = Line2D([], [], linestyle="none")
    if any(row.get("split") == "train" for rows in runs.values() for row in rows):
        legend["on the training split"] = Line2D([], [], color="0.4", linestyle="--")
    across = 1 if max(map(len, legend)) > 50 else 2

    figure, panels = _panels(len(metrics), 2, (5.0, 3.2), title=title, legend_rows=math.ceil(len(legend) / across))
    for panel, metric in zip(panels, metrics, strict=True):
        panel.set(xlabel=x, ylabel=metric)
        panel.grid(alpha=0.3)
        for name, rows in runs.items():
            for split, points in _by_split(rows, x, metric).items():
                style = {"linestyle": "--", "alpha": 0.6} if split == "train" else {}
                marker = "." if len(points) == 1 else None
                panel.plot(*zip(*points, strict=True), color=colours[name], marker=marker, **style)  # type: ignore[arg-type]
    figure.legend(
        list(legend.values()), list(legend), loc="outside lower center", ncols=across, frameon=False, fontsize=9
    )
    return _image(figure)


def principal_components(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components (N, 2) and their shares of the variance (2,).

    The largest loading of each is made positive, so that the picture of the next epoch is not mirrored.
    """
    centred = points - points.mean(0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2]
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    projected = centred @ (directions * signs[:, None]).T
    shares = singular**2 / max(float((singular**2).sum()), 1e-12)
    missing = 2 - projected.shape[1]  # one point spans no plane
    return np.pad(projected, ((0, 0), (0, missing))), np.pad(shares[:2], (0, missing))


def limits_of(values: Values) -> Limits:
    """The smallest and the largest finite value; never an empty interval."""
    array = as_array(values)
    finite = array[np.isfinite(array)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_lone(panel: "Axes", line: np.ndarray, style: dict[str, Any]) -> None:
    """Values between two gaps, through which no line goes."""
    there = np.pad(np.isfinite(line), 1)
    (lone,) = np.nonzero(there[1:-1] & ~there[:-2] & ~there[2:])
    if len(lone):
        panel.plot(lone, line[lone], ".", color=style["color"], alpha=style.get("alpha"), markersize=4)


def _draw_codes(
    figure: "Figure",
    axes: "Axes",
    points: np.ndarray,
    classes: np.ndarray,
    class_names: Sequence[str] | None,
    coloured: bool,
) -> None:
    from matplotlib import colormaps

    groups = [int(group) for group in np.unique(classes)]
    shown = [group for group in groups if group >= 0]
    many = len(shown) > LEGEND_ENTRIES
    palette = colormaps["tab10" if len(shown) <= 10 else "viridis" if many else "tab20"]
    bins = np.linspace(*limits_of(points), 60) if points.shape[1] == 1 else None
    for group in groups:
        # integers pick from a list of colours, fractions a place on a scale
        place = shown.index(group) if group >= 0 else 0
        colour = "0.75" if group < 0 else palette(place / max(len(shown) - 1, 1) if many else place)
        name = class_names[group] if class_names and 0 <= group < len(class_names) else str(group)
        label = None if not coloured else "hidden" if group < 0 else name
        members = points[classes == group]
        if bins is not None:
            axes.hist(members[:, 0], bins=bins, color=colour, label=label, alpha=0.6)  # type: ignore[arg-type]
        else:
            size = float(np.clip(20000 / max(len(points), 1), 3, 25))
            axes.scatter(members[:, 0], members[:, 1], s=size, color=colour, label=label, alpha=0.7, linewidths=0)
    if coloured and many:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        figure.colorbar(ScalarMappable(Normalize(shown[0], shown[-1]), palette), ax=axes, label="class")
    elif coloured and groups:
        figure.legend(loc="outside right upper", frameon=False, markerscale=2)


def _by_split(rows: Sequence[Mapping[str, Any]], x: str, metric: str) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        at, value = row.get(x), row.get(metric)
        if isinstance(at, (int, float)) and isinstance(value, (int, float)):
            points.setdefault(str(row.get("split")), []).append((at, value))
    return points


def _channels(values: Values) -> np.ndarray:
    """(N, T, channels)."""
    array = as_array(values)
    return array if array.ndim == 3 else array.reshape(len(array), -1, 1)


def _vectors(values: Values) -> np.ndarray:
    array = as_array(values)
    return array.reshape(len(array), -1)


def _figure(
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
        engine.set(rect=(0, 0, 1, 1 - _room(title, size[0]) / size[1]))  # type: ignore[call-arg]
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


def _room(title: str | None, width: float) -> float:
    """What a title takes of the height of a figure of that width, both in inches."""
    if not title:
        return 0.0
    _, points, lines = _title(title, width)
    return 2 * TITLE_MARGIN + lines * points * TITLE_SPACING / 72


def _panels(
    count: int, columns: int, size: tuple[float, float], *, title: str | None = None, legend_rows: int = 0
) -> "tuple[Figure, list[Axes]]":
    """`count` panels, each on a scale of its own."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width = size[0] * columns
    figure = _figure((width, size[1] * rows + _room(title, width) + 0.2 * legend_rows), title)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for panel in axes[count:]:
        panel.set_visible(False)
    return figure, list(axes[:count])


def _multiples(
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
    top = 0.1 + _room(title, across) + 0.2 * titles
    inches = (across, bottom + rows * height + (rows - 1) * gap + top)
    figure = _figure(inches, title, layout=None)
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


def _image(figure: "Figure") -> Image.Image:
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")  # type: ignore[attr-defined]
