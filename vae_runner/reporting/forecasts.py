"""Sequences as they went on, beside forecasts of them."""

import torch
from PIL import Image
from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.reporting import figures, pictures

SHOWN = 3  # draws beside a sequence, where they do not fit into one panel


def draw_forecasts(
    space: Space, x: Tensor, draws: Tensor, prediction: Tensor, prefix: int, *, title: str | None = None
) -> Image.Image:
    """x (N, *shape), draws (K, N, *shape) and the prediction (N, *shape), which are alike for the first `prefix` steps.

    Lines for few channels; else a row for each sequence, with the first draws beside it.
    """
    if space.support == "categorical" or space.shape[-1] > pictures.MOST_LINES:
        rows = torch.cat([x[:, None], draws[:SHOWN].transpose(0, 1)], 1)
        labels = [f"{prefix} steps, then" for _ in rows]
        return pictures.draw_examples(space, rows.flatten(0, 1), columns=rows.shape[1], row_labels=labels, title=title)
    # a forecast begins where the prefix ends
    after = torch.arange(x.shape[1])[:, None] >= prefix - 1
    forecast, draw = (values.where(after, torch.nan) for values in (prediction, draws[0]))
    return figures.line_plots({"truth": x, "forecast": forecast, "a draw": draw}, title=title)
