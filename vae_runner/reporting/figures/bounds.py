"""The importance-weighted bound as its draws grow."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from vae_runner.reporting.figures.canvas import figure_of, image_of


def bound_curve(
    draws: Sequence[int], bounds: Sequence[float | None], errors: Sequence[float | None], *, title: str | None = None
) -> Image.Image:
    """L_K in nats per example at each number K of draws, with its standard error; None where it is not finite or has
    none, which is left out."""
    from matplotlib.ticker import NullLocator, ScalarFormatter

    figure = figure_of((6.4, 4.0), title)
    axes = figure.add_subplot()
    of_draws, spread = (np.array(values, dtype=float) for values in (bounds, errors))  # None is nan
    axes.errorbar(draws, of_draws, spread, marker="o", markersize=4, linewidth=1.5, capsize=3, color="tab:blue")
    axes.set(xscale="log", xlabel="draws per example, K", ylabel="$L_K$ (nats per example)")
    axes.set_xticks(draws)
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    return image_of(figure)
