"""Logged figures over the steps of training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from vae_runner.reporting.figures.canvas import LEGEND_ENTRIES, image_of, panels_of


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

    figure, panels = panels_of(len(metrics), 2, (5.0, 3.2), title=title, legend_rows=math.ceil(len(legend) / across))
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
    return image_of(figure)


def _by_split(rows: Sequence[Mapping[str, Any]], x: str, metric: str) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        at, value = row.get(x), row.get(metric)
        if isinstance(at, (int, float)) and isinstance(value, (int, float)):
            points.setdefault(str(row.get("split")), []).append((at, value))
    return points
