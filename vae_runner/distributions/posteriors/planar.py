"""Planar flows, with parameters from the encoder for each example (Rezende & Mohamed 2015, section 4.1, appendix A.1).

    z' = z + u h,   h = tanh(w . z + b),   log |det dz'/dz| = log(1 + (1 - h^2) w . u)

It is invertible where w . u > -1. So u is moved along w until w . u = m(w . u), with m(x) = softplus(x + c) - 1. With
c = log(e - 1) small parameters leave z as it is, and there is no division by a small |w|; the paper has c = 0.
"""

import functools
import math
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, bounded
from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.posteriors.posterior import Posterior
from vae_runner.distributions.pushforward import Pushforward
from vae_runner.settings import Range

LEAST_STRETCH = 1e-4  # of a direction: keeps the logarithm of the determinant finite in any precision


class Planar(Posterior):
    """A Gaussian through `flows` planar flows; latents of any shape count as one vector."""

    provides: ClassVar[set[str]] = {"density", "reparameterised"}

    def __init__(self, latent_shape: tuple[int, ...], *, flows: Annotated[int, Range(1, 1000)] = 4) -> None:
        super().__init__(latent_shape)
        self.flows = flows
        self.per_unit = 2 + 3 * flows  # a mean, a log-variance, and w, u and a share of b for each flow

    def forward(self, parameters: Tensor) -> Pushforward:
        """q for parameters (N, per_unit * D, *rest)."""
        parts = at_least_float32(parameters).unflatten(1, (self.per_unit, -1)).flatten(2)
        base = DiagonalGaussian(parts[:, 0], bounded(parts[:, 1]))
        flows = parts[:, 2:].unflatten(1, (self.flows, 3))
        return Pushforward(base, functools.partial(planar, flows=flows), self.latent_shape)


def planar(z: Tensor, flows: Tensor) -> tuple[Tensor, Tensor]:
    """z (S, N, D) after all flows (N, flows, 3, D), each w, u and the terms of b; and the log-determinant (S, N)."""
    log_determinant = torch.zeros_like(z[..., 0])
    for flow in flows.unbind(1):
        w, u, b = flow.unbind(1)
        given = (w * u).sum(-1, keepdim=True)
        allowed = F.softplus(given + math.log(math.e - 1)) + (LEAST_STRETCH - 1)
        u = u + (allowed - given) * w / w.square().sum(-1, keepdim=True).clamp_min(1e-12)
        h = ((w * z).sum(-1) + b.sum(-1)).tanh()
        log_determinant = log_determinant + ((1 - h.square()) * allowed.squeeze(-1)).log1p()
        z = z + u * h.unsqueeze(-1)
    return z, log_determinant
