"""A normalising flow as the prior, p(z|c) = N(f(z; c); 0, I) |det df/dz|, with couplings (Dinh et al. 2017, RealNVP).

    y_1 = x_1,   y_2 = x_2 exp(s) + t,   (s, t) = network(x_1, c),   log |det dy/dx| = sum s

It learns the shape of the codes, which a standard normal can only demand; with a condition, their shape under it.
"""

import math
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from vae_runner.distributions.diagonal_gaussian import StandardNormal
from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.priors.prior import Prior
from vae_runner.errors import UserError
from vae_runner.settings import Range

LARGEST_LOG_SCALE = 2.0  # of one coupling: a point far from all codes must not make it infinite


class Coupling(nn.Module):
    """Reorders x (..., D) by `order` (D,), keeps the first half, and moves the rest. At first it moves nothing."""

    order: Tensor

    def __init__(self, order: Tensor, context: int, width: int) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.kept = len(order) // 2
        last = nn.Linear(width, 2 * (len(order) - self.kept))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = nn.Linear(self.kept + context, width)
        self.network = nn.Sequential(first, nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """y (..., D) and the log-determinant (...), of x (..., D) and context (..., C)."""
        kept, moved = x[..., self.order].tensor_split([self.kept], -1)
        log_scale, shift = self._transform(kept, context)
        return torch.cat([kept, moved * log_scale.exp() + shift], -1), log_scale.sum(-1)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """The x (..., D) that y (..., D) came from."""
        kept, moved = y.tensor_split([self.kept], -1)
        log_scale, shift = self._transform(kept, context)
        return torch.cat([kept, (moved - shift) * (-log_scale).exp()], -1)[..., self.order.argsort()]

    def _transform(self, kept: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        known = kept if context is None else torch.cat([kept, context], -1)
        log_scale, shift = at_least_float32(self.network(known)).chunk(2, -1)
        return LARGEST_LOG_SCALE * (log_scale / LARGEST_LOG_SCALE).tanh(), shift


class FlowDensity:
    """p(z|c): `couplings` from z to noise, under a context (B, C) or none."""

    def __init__(self, couplings: list[Any], noise: StandardNormal, context: Tensor | None, shape: tuple[int, ...]):
        self.couplings, self.noise, self.context, self.shape = couplings, noise, context, shape

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z|c) in nats, (*batch,), of z (*batch, *latent_shape); with a context, the last of batch is its B."""
        x = z.flatten(-len(self.shape))
        context = None if self.context is None else self.context.expand(*x.shape[:-1], -1)
        total = torch.zeros_like(x[..., 0])
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
        size, known = math.prod(latent_shape), math.prod(context) if context else 0
        if size < 2:
            raise UserError(
                "prior=flow: a coupling needs two dimensions or more: raise latent_dim, or type prior=mixture"
            )
        # two couplings in a row move all dimensions between them
        orders = [torch.arange(size).flip(0) if i % 2 else torch.randperm(size) for i in range(flows)]
        self.couplings = nn.ModuleList(Coupling(order, known, width) for order in orders)
        self.register_buffer("zeros", torch.zeros(size), persistent=False)

    def forward(self, context: Tensor | None = None) -> FlowDensity:
        context = None if context is None else context.flatten(1)
        return FlowDensity(list(self.couplings), StandardNormal(self.zeros), context, self.latent_shape)
