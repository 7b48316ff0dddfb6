"""Examples beside what the model makes of their codes, and what it costs to tell them by way of z.

    rate R = KL(q(z|x) || p(z)),   distortion D = E_q[-log p(x|z)],   R + D = -ELBO >= -log p(x)

Alemi et al. 2018, section 2. At the mean of q alone -log p(x|z) is no distortion: R and it may sum to less.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch


@dataclass
class Reconstruction:
    """x (N, *shape): means of p(x|z) at the codes, the means of q(z|x).

    squared_error: from the target, mean over the values of an example that count, (N,); the share of wrong ones, where
    values are categories. log_px: log p(x|z) there, nats, (N,).
    """

    x: Tensor
    squared_error: Tensor
    log_px: Tensor


@dataclass
class RateDistortion:
    """Of each example, (N,), in nats, in double precision. rate: None where a code has no density."""

    rate: Tensor | None
    distortion: Tensor


@torch.no_grad()
def rate_distortion(model: Any, batch: Batch, draws: int) -> RateDistortion:
    """The means over `draws` of z from q(z|x), one after the other; the rate in closed form where there is one."""
    drawn = [model(batch) for _ in range(draws)]
    distortion = torch.stack([-evidence.log_px[0].double() for evidence in drawn]).mean(0)
    if not drawn[0].has_density:
        return RateDistortion(None, distortion)
    return RateDistortion(torch.stack([evidence.kl.double() for evidence in drawn]).mean(0), distortion)


@torch.no_grad()
def reconstruct(model: Any, batch: Batch) -> Reconstruction:
    codes, context = model.encode(batch), model.context(batch)
    mean = model.decode(codes, context, temperature=0.0).mean
    error = (mean - batch.x).square() if batch.x.is_floating_point() else (mean != batch.x).float()
    counts = torch.ones_like(error) if batch.mask is None else batch.mask.expand_as(error)
    told = model.decode(codes, context, x=batch.x)
    return Reconstruction(
        mean, (error * counts).flatten(1).sum(1) / counts.flatten(1).sum(1), told.log_prob(batch.x, batch.mask)
    )
