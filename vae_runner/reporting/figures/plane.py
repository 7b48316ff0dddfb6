"""Runs in the plane of rate and distortion (Alemi et al. 2018, "Fixing a Broken ELBO")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vae_runner.reporting.figures.canvas import LEGEND_ENTRIES, figure_of, image_of
from vae_runner.reporting.formats import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.16  # around the points, of what they span
EDGE = 0.04  # of the window: within that margin


@dataclass(frozen=True)
class Point:
    """A run, or the mean of several: rate, the KL, and distortion, -log p(x|z), both in nats per example.

    errors: the standard deviations of both, where it is a mean. place: of the run along a curve through all of them.
    """

    label: str
    rate: float
    distortion: float
    errors: tuple[float | None, float | None] = (None, None)
    place: float | None = None

    @property
    def elbo(self) -> float:
        return -self.rate - self.distortion


def rate_distortion(points: Sequence[Point], *, legend: str | None = None, title: str | None = None) -> Image.Image:
    """A point for each run, and lines of constant ELBO = -rate - distortion: the best one's dashed, others dotted.

    Points that all have a place are joined in its order, and written beside; all others are told by a legend.
    legend: what the labels are.
    """
    from matplotlib import colormaps

    rates, distortions = np.array([(point.rate, point.distortion) for point in points]).T
    is_curve = len(points) > 1 and all(point.place is not None for point in points)
    figure = figure_of((6.4, 4.8), title)
    axes = figure.add_subplot()
    of_rates, of_distortions = (np.array([point.errors[i] or 0.0 for point in points]) for i in (0, 1))
    (left, right), (low, high) = _limits(rates, of_rates), _limits(distortions, of_distortions)
    axes.set(
        xlim=(max(left, min(float((rates - of_rates).min()), 0.0) - EDGE * right / 2), right),
        ylim=(low, high),
        xlabel="rate: KL (nats)",
    )
    axes.set_ylabel("distortion: $-\\log\\, p(x|z)$ (nats)")
    best = max(points, key=lambda point: point.elbo)
    _draw_elbos(axes, best)
    if is_curve:
        ordered = sorted(points, key=lambda point: point.place or 0.0)
        axes.plot([p.rate for p in ordered], [p.distortion for p in ordered], color="0.5", linewidth=1.2, zorder=1)
    palette = colormaps["tab10"] if len(points) <= 10 else colormaps["viridis"].resampled(len(points))
    for index, point in enumerate(points):
        colour = "tab:blue" if is_curve else palette(index)
        name = point.label if not is_curve and index < LEGEND_ENTRIES else None
        x, y = ([[error]] if error else None for error in point.errors)
        axes.errorbar(point.rate, point.distortion, y, x, "o", color=colour, label=name, capsize=3, zorder=2)
        if is_curve:
            axes.annotate(point.label, (point.rate, point.distortion), (6, 5), textcoords="offset points", fontsize=9)
    said = f"dotted: constant ELBO; dashed: the best, {number(best.elbo)}"
    axes.set_title(f"{said}; beside the points: {legend}" if is_curve and legend else said, fontsize=9)
    if not is_curve:
        if len(points) > LEGEND_ENTRIES:
            axes.plot([], [], linestyle="none", label=f"and {len(points) - LEGEND_ENTRIES} more")
        across = 1 if max(len(point.label) for point in points) > 30 else 2
        figure.legend(loc="outside lower center", ncols=across, frameon=False, fontsize=9, title=legend)
    return image_of(figure)


def _limits(values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    low, high = float((values - errors).min()), float((values + errors).max())
    margin = MARGIN * max(high - low, 1.0)
    return low - margin, high + margin


def _draw_elbos(axes: "Axes", best: Point) -> None:
    """Lines of constant ELBO across the window, and that of the best point."""
    from matplotlib.ticker import MaxNLocator

    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x, y = np.meshgrid([left, right], [low, high])
    levels = MaxNLocator(8).tick_values(-right - high, -left - low)
    lines = axes.contour(x, y, -x - y, levels, colors="0.7", linewidths=0.8, linestyles="dotted", zorder=0)
    # in the margin at the top, or else at the left, where no point is
    top, side = high - EDGE * (high - low), left + EDGE * (right - left)
    places = [(max(-level - top, side), min(-level - side, top)) for level in levels]
    inside = [(across, up) for across, up in places if side <= across <= right - side + left and low < up]
    axes.clabel(lines, fmt="%g", fontsize=7, colors="0.5", manual=inside)
    rates = np.array([left, right])
    axes.plot(rates, -best.elbo - rates, color="0.4", linewidth=1.0, linestyle="--", zorder=0)
