"""The hyperspherical posterior (Davidson et al. 2018): q(z|x) = vMF(z; m(x), kappa(x)) on the unit sphere."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.posteriors.posterior import Posterior
from vae_runner.distributions.von_mises_fisher import UniformOnSphere, VonMisesFisher
from vae_runner.errors import UserError

LOWEST_KAPPA, HIGHEST_KAPPA = 1.0, 1e6


class Hyperspherical(Posterior):
    """A direction and a concentration per example; latents of any shape count as one vector of length one."""

    per_unit = 2
    provides: ClassVar[set[str]] = {"density", "divergence", "reparameterised", "detachable", "pointwise", "uniform"}
    requires: ClassVar[dict[str, str]] = {
        "prior.over_codes": "its codes lie on a sphere, and the prior must too: type prior=uniform",
    }
    on_sphere: ClassVar[bool] = True
    zeros: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)
        if self.zeros.numel() < 2:
            raise UserError("latent_dim=1: posterior=hyperspherical needs a sphere: type latent_dim=2 or more")

    def forward(self, parameters: Tensor) -> VonMisesFisher:
        """q for parameters (N, 2 * D, *rest): the direction before it is normalised, and terms of the concentration."""
        direction, terms = (at_least_float32(part.flatten(1)) for part in parameters.chunk(2, dim=1))
        kappa = (LOWEST_KAPPA + F.softplus(terms.sum(-1))).clamp_max(HIGHEST_KAPPA)
        return VonMisesFisher(F.normalize(direction, dim=-1).view(-1, *self.latent_shape), kappa)

    def uniform(self) -> UniformOnSphere:
        """The distribution of all codes alike."""
        return UniformOnSphere(self.zeros)
