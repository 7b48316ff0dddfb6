"""Pictures of examples, picked by what an example is: images as grids, everything else as lines.

Values of `unit` and `binary` spaces are shown from 0 to 1. Values of a `real` space have no limits of their own: hand
in the same ones every time (`limits_of` the data) and the pictures of two epochs can be compared.
"""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.reporting import figures, grids
from vae_runner.reporting.figures import Limits


def limits_of(space: Space, x: Tensor) -> Limits:
    """What is drawn as black and as white: 0 and 1, or the extremes of `x` where the space is unbounded."""
    return figures.limits_of(x) if space.support == "real" else (0.0, 1.0)


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

    row_labels: of a grid of images; lines are titled by that of their row.
    """
    limits = limits or limits_of(space, x)
    if _is_image(space):
        return grids.grid(_as_images(space, x), columns, row_labels=row_labels, title=title, limits=limits)
    titles = titles or (None if row_labels is None else [row_labels[i // columns] for i in range(len(x))])
    return figures.line_plots({"x": x.flatten(1)}, titles=titles, title=title, limits=limits)


def draw_reconstructions(
    space: Space,
    x: Tensor,
    reconstruction: Tensor,
    input: Tensor | None = None,
    *,
    columns: int = 10,
    title: str | None = None,
    limits: Limits | None = None,
) -> Image.Image:
    """Targets with their reconstructions, and the encoder's input where it was corrupted; each (N, *shape)."""
    limits = limits or limits_of(space, x)
    if _is_image(space):
        shown = None if input is None else _as_images(space, input)
        return grids.reconstruction_grid(
            _as_images(space, x), _as_images(space, reconstruction), shown, columns=columns, title=title, limits=limits
        )
    series = {"target": x.flatten(1), "reconstruction": reconstruction.flatten(1)}
    if input is not None:
        series["input"] = input.flatten(1)
    return figures.line_plots(series, title=title, limits=limits)


def draw_traversals(
    space: Space,
    x: Tensor,
    values: Sequence[float],
    names: Sequence[str],
    *,
    title: str | None = None,
    limits: Limits | None = None,
) -> Image.Image:
    """What is decoded while one latent moves: x (units, len(values), *shape), a row per unit.

    names: of the units. Interpolations are the same picture, with a row per pair.
    """
    limits = limits or limits_of(space, x)
    if _is_image(space):
        labels = [f"{value:.2g}" for value in values]
        images = _as_images(space, x.flatten(0, 1))
        return grids.grid(images, len(values), row_labels=names, column_labels=labels, title=title, limits=limits)
    return figures.line_fans(x.flatten(2), values, titles=names, title=title, limits=limits)


def _is_image(space: Space) -> bool:
    return len(space.shape) in (2, 3)


def _as_images(space: Space, x: Tensor) -> Tensor:
    return x if space.image else x.unsqueeze(1)
