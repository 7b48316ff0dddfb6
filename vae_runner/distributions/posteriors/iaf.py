"""Inverse autoregressive flows (Kingma et al. 2016, algorithm 1 and equation 14).

    z' = g z + (1 - g) m,   g = sigmoid(s),   (m, s) = network(z, h),   log |det dz'/dz| = sum_d log g_d

m_d and s_d depend on the dimensions of z before d and on the example, by the h that its encoder gives beside the
Gaussian to start from. The order of the dimensions is reversed after each flow.
"""

import functools
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, bounded
from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.posteriors.posterior import Posterior
from vae_runner.distributions.pushforward import Pushforward
from vae_runner.settings import Range

OPEN = 1.5  # added to s, so that at first little is forgotten


class MaskedLinear(nn.Linear):
    """A linear layer without some of its connections: `seen` (outputs, inputs) is true for those that there are."""

    mask: Tensor

    def __init__(self, seen: Tensor) -> None:
        super().__init__(seen.shape[1], seen.shape[0])
        self.register_buffer("mask", seen.to(torch.float32), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.weight * self.mask, self.bias)


class MaskedNetwork(nn.Module):
    """From z and h (..., D) to two outputs (..., D), of which d sees z before d only (MADE, Germain et al. 2015)."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        position = torch.arange(size)
        degree = torch.arange(width) * size // width  # how many inputs, from the first, a hidden unit may see
        self.first = MaskedLinear(position < degree[:, None])
        self.context = nn.Linear(size, width, bias=False)
        self.second = MaskedLinear(degree <= degree[:, None])
        self.last = MaskedLinear((degree <= position[:, None]).repeat(2, 1))

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        hidden = F.elu(self.first(z) + self.context(h))
        return at_least_float32(self.last(F.elu(self.second(hidden)))).chunk(2, -1)


class InverseAutoregressive(Posterior):
    """A Gaussian through `flows` flows with networks of `width` units; latents of any shape count as one vector."""

    per_unit = 3
    provides: ClassVar[set[str]] = {"density", "reparameterised"}

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        flows: Annotated[int, Range(1, 100)] = 4,
        width: Annotated[int, Range(1, 65536)] = 128,
    ) -> None:
        super().__init__(latent_shape)
        self.networks = nn.ModuleList(MaskedNetwork(torch.Size(latent_shape).numel(), width) for _ in range(flows))

    def forward(self, parameters: Tensor) -> Pushforward:
        """q for parameters (N, 3 * D, *rest): means, log-variances and h."""
        mean, log_variance, h = (part.flatten(1) for part in at_least_float32(parameters).chunk(3, dim=1))
        base = DiagonalGaussian(mean, bounded(log_variance))
        return Pushforward(base, functools.partial(self.flow, h=h), self.latent_shape)

    def flow(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """z (S, N, D) after all flows, and the log-determinant (S, N)."""
        log_determinant = torch.zeros_like(z[..., 0])
        for network in self.networks:
            shift, gate = network(z, h)
            log_determinant = log_determinant + F.logsigmoid(gate + OPEN).sum(-1)
            z = torch.lerp(shift, z, (gate + OPEN).sigmoid()).flip(-1)
        return z, log_determinant
