"""Conditions that are pictures, beside what a model makes of each: a row for every condition."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from vae_runner.reporting import grids


def draw_translations(
    c: Tensor,
    x: Tensor,
    target: Tensor | None = None,
    *,
    row_labels: Sequence[str] | None = None,
    title: str | None = None,
    limits: grids.Limits = (0.0, 1.0),
) -> Image.Image:
    """Conditions (K, C', H', W'), n draws for each (K, n, C, H, W), and targets (K, C, H, W) where they are known."""
    size = x.shape[3:]
    columns = {"condition": F.interpolate(c, size, mode="nearest")}
    columns |= {} if target is None else {"target": target}
    columns |= {f"draw {i}": draw for i, draw in enumerate(x.unbind(1), start=1)}
    channels = max(column.shape[1] for column in columns.values())
    alike = [
        column if column.shape[1] == channels else column.mean(1, keepdim=True).expand(-1, channels, -1, -1)
        for column in columns.values()
    ]
    return grids.grid(
        torch.stack(alike, 1).flatten(0, 1),
        len(alike),
        row_labels=row_labels,
        column_labels=list(columns),
        title=title,
        limits=limits,
    )
