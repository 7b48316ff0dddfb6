"""Examples from the model alone: z ~ p(z|c), then the mean of p(x|z,c) or a draw from it, block by block."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from vae_runner.data.space import Space

BLOCK = 256  # examples decoded at a time

Draw = Literal["mean", "sample"]


def shown_as(space: Space) -> Draw:
    """What a person is shown of p(x|z): its mean, or a draw, where a mean is no example, as of notes and of text."""
    return "sample" if space.sequence and space.support != "real" else "mean"


@torch.no_grad()
def sample(
    model: Any,
    c: Tensor | None = None,
    *,
    temperature: float = 1.0,
    draw: Draw = "mean",
    prompt: Tensor | None = None,
    held: Sequence[Tensor] = (),
) -> tuple[list[Tensor], Tensor]:
    """A block of latents (BLOCK, *latent_shape) of every level and of x (BLOCK, *shape), by the global random state.

    c: conditions (BLOCK, ...), of a model that has them. What they show of x is x. prompt: the first steps (1, t, ...)
    of all sequences. held: latents (1, *latent_shape) of the top levels that all share.
    """
    context = None if c is None else model.condition(c)
    given = [z.expand(BLOCK, *z.shape[1:]) for z in held]
    start = None if prompt is None else prompt.expand(BLOCK, *prompt.shape[1:])
    latents, px = model.generate(BLOCK, context, temperature, given, start)
    x = px.mean if draw == "mean" else px.sample()
    return latents, model.condition.reveal(x, c) if hasattr(model.condition, "reveal") else x


def sample_blocks(model: Any, n: int, c: Tensor | None = None, **how: Any) -> Iterator[tuple[list[Tensor], Tensor]]:
    """n samples as blocks of (latents, x) on the CPU, in float32 but for tokens. how: as `sample` takes it.

    c: conditions (K, ...) that take turns: sample i is of c[i % K]. Whole blocks are drawn, whatever n: on one random
    state, a larger n only adds examples after the same first ones.
    """
    for start in range(0, n, BLOCK):
        turns = None if c is None else c[torch.arange(start, start + BLOCK, device=c.device) % len(c)]
        latents, x = sample(model, turns, **how)
        yield (
            [z[: n - start].float().cpu() for z in latents],
            (x.float() if x.is_floating_point() else x)[: n - start].cpu(),
        )
