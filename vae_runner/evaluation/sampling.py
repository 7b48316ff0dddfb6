"""Examples from the model alone: z ~ p(z), then the mean of p(x|z) or a draw from it, block by block."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

BLOCK = 256  # examples decoded at a time


@torch.no_grad()
def sample(model: Any, *, temperature: float = 1.0, draw: Literal["mean", "sample"] = "mean") -> tuple[Tensor, Tensor]:
    """A block of latents z (BLOCK, *latent_shape) and of x (BLOCK, *shape), with the global random state."""
    z = model.sample_latents(BLOCK, temperature=temperature)
    px = model.decode(z)
    return z, px.mean if draw == "mean" else px.sample()


def sample_blocks(
    model: Any, n: int, *, temperature: float = 1.0, draw: Literal["mean", "sample"] = "mean"
) -> Iterator[tuple[Tensor, Tensor]]:
    """n samples as blocks of (z, x) on the CPU, in float32.

    Whole blocks are drawn, whatever n: on one random state, a larger n only adds examples after the same first ones.
    """
    for start in range(0, n, BLOCK):
        z, x = sample(model, temperature=temperature, draw=draw)
        yield z[: n - start].float().cpu(), x[: n - start].float().cpu()
