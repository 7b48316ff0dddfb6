"""What each latent unit costs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.figures.canvas import figure_of, image_of, room_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.0, 3.2)  # inches
MARGINS = (0.9, 0.1, 0.5, 0.3)  # left, right, bottom and top


def kl_bars(kl_units: Values | Sequence[Values], *, active: float = 0.01, title: str | None = None) -> Image.Image:
    """The KL term of each latent unit in nats per example, a mean over a batch; one array per level of a ladder.

    active: units below it are drawn pale. One number alone is that of all units together.
    """
    from matplotlib.ticker import MaxNLocator

    levels = [kl_units] if isinstance(kl_units, Tensor | np.ndarray) else list(kl_units)
    arrays = [as_array(level).reshape(-1).astype(float) for level in levels]
    together = np.concatenate(arrays)
    figure, axes = _panel(title)
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
    axes.set_ylabel("KL (nats)")
    if len(together) == 1:
        axes.set_xlim(-1.5, 1.5)
        axes.set_xticks([0], ["all latent units together"])
        axes.set_title(f"{together[0]:.2f} nats", fontsize=10)
        return image_of(figure)
    axes.set(xlabel="latent unit", xlim=(-0.7, len(together) - 0.3))
    # without its own least number of ticks it would put them at fractions where units are few
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    count = int((together > active).sum())
    axes.set_title(
        f"{together.sum():.2f} nats, {count} of {len(together)} units with more than {active:g} nats", fontsize=10
    )
    return image_of(figure)


def _panel(title: str | None) -> "tuple[Figure, Axes]":
    """One, with margins that are given: to compute them takes a quarter of the time."""
    (width, height), (left, right, bottom, top) = SIZE, MARGINS
    figure = figure_of(SIZE, title, layout=None)
    top += room_for(title, width)
    axes = figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))
    return figure, axes
