"""Pictures of examples, picked by what an example is.

Images, and sequences of many channels such as piano rolls, are grids; text is text; everything else is lines. Values of
`unit` and `binary` spaces are shown from 0 to 1. Values of a `real` space have no limits of their own: hand in the same
ones every time (`limits_of` the data) and the pictures of two epochs can be compared.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.reporting import figures, grids, rolls, texts
from vae_runner.reporting.arrays import Values
from vae_runner.reporting.figures import Limits
from vae_runner.reporting.formats import number

MOST_LINES = 8  # channels of a sequence that are still drawn as lines
ROLL_COLUMNS, ROLL_SIDE = 4, 256  # a step of a piano roll is at least two pixels wide, where it is no longer than that
LINE_COLUMNS, MOST_LINE_COLUMNS = 4, 6


def limits_of(space: Space, x: Tensor, mask: Tensor | None = None) -> Limits:
    """What is drawn as black and as white: 0 and 1, or the extremes of `x` where the space is unbounded.

    mask: 1 where x counts; what does not is no extreme.
    """
    if space.support != "real":
        return 0.0, 1.0
    return figures.limits_of(x if mask is None else x.masked_fill(mask == 0, float("nan")))


def draw_examples(
    space: Space,
    x: Tensor,
    *,
    columns: int = 10,
    row_labels: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    title: str | None = None,
    limits: Limits | None = None,
) -> Image.Image:
    """N examples or samples (N, *shape). titles: one per example, for lines only: a grid of images has no room.

    row_labels: of a grid of images; lines are titled by that of their row, and text begins with it.
    """
    limits = limits or limits_of(space, x)
    of_each = None if row_labels is None else [row_labels[i // columns] for i in range(len(x))]
    if space.support == "categorical":
        rows = [texts.Row(text, label) for text, label in zip(x, of_each or [""] * len(x), strict=True)]
        return texts.page(rows, space.vocabulary, group=columns if of_each else None, title=title)
    if is_grid(space):
        layout = _layout(space, columns, fixed=bool(row_labels))
        return grids.grid(as_images(space, x, limits), row_labels=row_labels, title=title, limits=limits, **layout)
    across = columns if row_labels and columns <= MOST_LINE_COLUMNS else LINE_COLUMNS
    return figures.line_plots({"x": _as_lines(space, x)}, across, titles=titles or of_each, title=title, limits=limits)


def draw_reconstructions(
    space: Space,
    x: Tensor,
    reconstruction: Tensor,
    input: Tensor | None = None,
    *,
    columns: int = 10,
    title: str | None = None,
    limits: Limits | None = None,
    mask: Tensor | None = None,
) -> Image.Image:
    """Targets with their reconstructions, and the encoder's input where it was corrupted; each (N, *shape).

    mask: 1 where x counts. What lies beyond the end of a sequence is left out; where a value is missing, target and
    input have a gap, or stripes in an image. In text, letters that differ are red.
    """
    limits = limits or limits_of(space, x, mask)
    shown = {"target": x, "reconstruction": reconstruction, **({} if input is None else {"input": input})}
    if space.support == "categorical":
        rows = [texts.Row(tokens[i], name, x[i]) for i in range(len(x)) for name, tokens in shown.items()]
        return texts.page(rows, space.vocabulary, group=len(shown), title=title)
    ended, missing = absent(space, x, mask)
    title = with_legend(space, title, missing)
    shown = {name: values.masked_fill(ended, float("nan")) for name, values in shown.items()}
    holes = {name: None if name == "reconstruction" else missing for name in shown}
    if is_grid(space):
        images = {name: as_images(space, values, limits, holes[name]) for name, values in shown.items()}
        return grids.reconstruction_grid(
            images["target"],
            images["reconstruction"],
            images.get("input"),
            title=title,
            limits=limits,
            **_layout(space, columns),
        )
    series = {name: _as_lines(space, _with_gaps(values, holes[name])) for name, values in shown.items()}
    return figures.line_plots(series, title=title, limits=limits)


def draw_traversals(
    space: Space,
    x: Tensor,
    values: Sequence[float],
    names: Sequence[str],
    *,
    scale: str = "value of the latent",
    title: str | None = None,
    limits: Limits | None = None,
) -> Image.Image:
    """What is decoded while one latent moves: x (units, len(values), *shape), a row per unit.

    names: of the units. scale: what the values are. Interpolations are the same picture, with a row per pair.
    """
    limits = limits or limits_of(space, x)
    labels = [number(value, 5 if float(value).is_integer() else 2) for value in values]
    if space.support == "categorical":
        rows = [
            texts.Row(tokens, f"{name}   {label}" if label == labels[0] else label)
            for name, unit in zip(names, x, strict=True)
            for label, tokens in zip(labels, unit, strict=True)
        ]
        return texts.page(rows, space.vocabulary, group=len(values), title=title)
    if is_grid(space):
        images = as_images(space, x.flatten(0, 1), limits)
        return grids.grid(images, len(values), row_labels=names, column_labels=labels, title=title, limits=limits)
    lines = _as_lines(space, x.flatten(0, 1)).unflatten(0, x.shape[:2])
    channels = lines.shape[-1]
    panels = lines.movedim(-1, 1).flatten(0, 1)
    if channels > 1:
        names = [f"{name}, channel {channel + 1}" for name in names for channel in range(channels)]
    columns = channels if 1 < channels <= MOST_LINE_COLUMNS else LINE_COLUMNS
    return figures.line_fans(panels, values, titles=names, title=title, columns=columns, limits=limits, scale=scale)


def absent(space: Space, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Where x (N, *shape) lies beyond the end of its sequence, and where a value is missing before that."""
    if mask is None:
        nowhere = torch.zeros_like(x, dtype=torch.bool)
        return nowhere, nowhere
    counts = (mask != 0).expand_as(x)
    ended = torch.zeros_like(counts)
    if space.ragged:
        # nothing at all comes afterwards
        later = counts.flatten(2).any(2).flip(1).cummax(1).values.flip(1)
        ended = ~later.view(*later.shape, *[1] * (x.dim() - 2)).expand_as(x)
    return ended, ~counts & ~ended


def with_legend(space: Space, title: str | None, missing: Tensor) -> str | None:
    """The title, and how missing values are drawn, where there are any."""
    if not bool(missing.any()):
        return title
    legend = "red stripes: missing values" if is_grid(space) else "gaps: missing values"
    return f"{title}; {legend}" if title else legend


def _with_gaps(values: Tensor, missing: Tensor | None) -> Tensor:
    return values if missing is None else values.masked_fill(missing, float("nan"))


def is_grid(space: Space) -> bool:
    """Whether examples are drawn as images, not as lines; of text neither is the case."""
    return space.image or (space.sequence and space.shape[-1] > MOST_LINES)


def _layout(space: Space, columns: int, fixed: bool = False) -> dict[str, Any]:
    """Settings of a grid: of piano rolls, few stand side by side, and large, unless the number of columns is fixed."""
    if space.image or (fixed and columns > ROLL_COLUMNS):
        return {"columns": columns}
    return {"columns": min(columns, ROLL_COLUMNS), "min_side": ROLL_SIDE}


def as_images(space: Space, x: Tensor, limits: Limits, missing: Tensor | None = None) -> Values:
    """What a grid is made of; not a number where values are missing."""
    return rolls.as_images(x, limits, missing) if space.sequence else _with_gaps(x, missing)


def _as_lines(space: Space, x: Tensor) -> Tensor:
    """(N, T, channels)."""
    return x if space.sequence else x.flatten(1).unsqueeze(-1)
