"""An autoregressive decoder without a target: each step sees what the run itself has made so far (Graves 2013).

p(x|z) = prod_t p(x_t | x_<t, z), one step at a time
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vae_runner import noise
from vae_runner.data.space import Space
from vae_runner.data.tokens import END
from vae_runner.errors import UserError


def free_run(
    stage: Any,
    head: nn.Module,
    likelihood: Any,
    space: Space,
    z: Tensor,
    context: Tensor | None = None,
    prompt: Tensor | None = None,
    temperature: float = 1.0,
) -> "FreeRun":
    """Unrolls the decoder `stage` from z (N, *latent_shape) over the T steps of an example.

    prompt: the first steps of x, (N, t, D), or tokens (N, t), or rows of images (N, C, t, W); they are kept.
    temperature: how widely the steps after it are drawn; at 0 the most likely value, or the mean, is fed back.

    Raises UserError where the prompt is longer than an example.
    """
    time = 2 if space.image else 1
    length, prompted = space.shape[time - 1], 0 if prompt is None else prompt.shape[time]
    if prompted > length:
        raise UserError(f"prompt: {prompted} steps, but the longest example of this data has {length}")
    state, previous = stage.start(z, context), None
    means: list[Tensor] = []
    run: list[Tensor] = []
    running = torch.ones(len(z), dtype=torch.bool, device=z.device)
    for step in range(length):
        features, state = stage.advance(previous, state)
        px = likelihood(head(features))
        drawn = draw(px, space, likelihood.discrete, temperature).squeeze(time)
        previous = drawn if prompt is None or step >= prompted else prompt.select(time, step).to(drawn.dtype)
        if space.support == "categorical":
            previous = previous.where(running, END)
            running = running & (previous != END)
        run.append(previous)
        means.append(px.mean.squeeze(time) if step >= prompted else previous)
    x = torch.stack(run, time)
    # the most likely token after a text that went another way belongs to no text
    mean = x if space.support == "categorical" else torch.stack(means, time)
    return FreeRun(mean, x)


def draw(px: Any, space: Space, discrete: bool, temperature: float) -> Tensor:
    """A value drawn from px at a temperature; at 0 its mode where it is one of a few, else its mean."""
    if space.support == "categorical":
        return px.sample(temperature=temperature) if temperature else px.mean
    if space.support == "binary" and discrete:
        logits = px.mean.logit()
        if not temperature:
            return (logits > 0).to(logits)
        chances = (logits / temperature).sigmoid()
        return (noise.uniform_like(logits) < chances).to(logits)
    # all these are families of a location and a scale
    return px.mean + temperature * (px.sample() - px.mean) if temperature else px.mean


@dataclass
class FreeRun:
    """p(x|z) as one run has shown it.

    mean: of each step given the run before it, (N, *shape); for text the run itself. run: what was drawn and fed back.
    """

    mean: Tensor
    run: Tensor

    def sample(self) -> Tensor:
        """The run, (N, *shape)."""
        return self.run
