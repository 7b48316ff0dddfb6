"""A normalising flow as the prior, p(z|c) = N(f(z; c); 0, I) |det df/dz|, with f of affine couplings (Dinh et al. 2017).

It learns the shape of the aggregate posterior, which a standard normal can only demand (Chen et al. 2017, section 3.2).
With a condition it is a conditional prior.
"""

import math
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from vae_runner.distributions.diagonal_gaussian import StandardNormal
from vae_runner.distributions.flows.coupling import Coupling
from vae_runner.distributions.priors.prior import Prior
from vae_runner.errors import UserError
from vae_runner.settings import Range


class FlowDensity:
    """p(z|c): `couplings` from z to noise, under a context (B, C) or none."""

    def __init__(self, couplings: nn.ModuleList, noise: StandardNormal, context: Tensor | None, shape: tuple[int, ...]):
        self.couplings, self.noise, self.context, self.shape = couplings, noise, context, shape

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z|c) in nats, (*batch,), of z (*batch, *latent_shape); with a context, the last of batch is its B."""
        x = z.flatten(-len(self.shape))
        context = None if self.context is None else self.context.expand(*x.shape[:-1], -1)
        total = torch.zeros(x.shape[:-1], dtype=x.dtype, device=x.device)
        for coupling in self.couplings:
            x, log_determinant = coupling(x, context)
            total = total + log_determinant
        return self.noise.log_prob(x) + total

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """Samples (n, *latent_shape); `temperature` is the standard deviation of the noise they are made of."""
        x = self.noise.sample(n, temperature)
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x, self.context)
        return x.unflatten(-1, self.shape)


class Flow(Prior):
    """`flows` couplings with networks of `width` units; latents of any shape count as one vector. At first N(0, I)."""

    provides: ClassVar[set[str]] = {"density", "sample"}
    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: tuple[int, ...] = (),
        *,
        flows: Annotated[int, Range(1, 100)] = 6,
        width: Annotated[int, Range(1, 65536)] = 128,
    ) -> None:
        super().__init__(latent_shape, context)
        size = math.prod(latent_shape)
        if size < 2:
            raise UserError("prior=flow: a coupling needs two dimensions or more: raise latent_dim, or type prior=mixture")
        # two couplings in a row move all dimensions between them
        orders = [torch.arange(size - 1, -1, -1) if i % 2 else torch.randperm(size) for i in range(flows)]
        self.couplings = nn.ModuleList(Coupling(order, math.prod(context) if context else 0, width) for order in orders)
        self.register_buffer("zeros", torch.zeros(size), persistent=False)

    def forward(self, context: Tensor | None = None) -> FlowDensity:
        context = None if context is None else context.flatten(1)
        return FlowDensity(self.couplings, StandardNormal(self.zeros), context, self.latent_shape)
