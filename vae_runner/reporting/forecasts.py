"""Sequences as they went on, beside forecasts of them."""

import torch
from PIL import Image
from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.reporting import figures, grids, pictures, texts

SHOWN = 3  # draws beside a sequence, where they do not fit into one panel


def draw_forecasts(
    space: Space,
    x: Tensor,
    draws: Tensor,
    prediction: Tensor,
    prefix: int,
    *,
    mask: Tensor | None = None,
    title: str | None = None,
) -> Image.Image:
    """x (N, *shape), draws (K, N, *shape) and the prediction (N, *shape), which are alike for the first `prefix` steps.

    Lines for few channels; else the first draws beside each sequence, with a red line where the known steps end. mask:
    1 where x counts; what lies beyond its end is left out, and where a value is missing there is a gap, or stripes.
    """
    draws = draws[:SHOWN]
    names = ["truth", *(f"draw {i}" for i in range(1, len(draws) + 1))]
    title = f"{title}; known up to the red line" if title else "known up to the red line"
    if space.support == "categorical":
        rows = [
            texts.Row(tokens, name, known=prefix)
            for sequences in zip(x, *draws, strict=True)
            for name, tokens in zip(names, sequences, strict=True)
        ]
        return texts.page(rows, space.vocabulary, group=len(names), title=title)
    ended, missing = pictures.absent(space, x, mask)
    truth = x.masked_fill(ended | missing, float("nan"))
    # a value that is missing in the prefix is so in what begins with it
    steps = torch.arange(x.shape[1], device=x.device)[:, None]
    unknown = missing & (steps < prefix)
    title = pictures.with_legend(space, title, missing)
    if pictures.is_grid(space):
        return _grid(space, x.masked_fill(ended, float("nan")), draws, missing, unknown, names, prefix, title)
    forecast, draw = (
        # a forecast begins where the prefix ends
        values.masked_fill(unknown | (steps < prefix - 1), float("nan"))
        for values in (prediction, draws[0])
    )
    return figures.line_plots({"truth": truth, "forecast": forecast, "a draw": draw}, title=title, border=prefix - 0.5)


def _grid(
    space: Space,
    x: Tensor,
    draws: Tensor,
    missing: Tensor,
    unknown: Tensor,
    names: list[str],
    prefix: int,
    title: str | None,
) -> Image.Image:
    limits = pictures.limits_of(space, x.masked_fill(missing, float("nan")))
    columns = [pictures.as_images(space, x, limits, missing)]
    columns += [pictures.as_images(space, draw, limits, unknown) for draw in draws]
    images = torch.stack([torch.as_tensor(column) for column in columns], 1).flatten(0, 1)
    return grids.grid(
        images, column_labels=names, title=title, limits=limits, min_side=pictures.ROLL_SIDE, border=prefix
    )
