"""Inverse autoregressive flows (Kingma et al. 2016, algorithm 1), in the numerically stable form of equation 14.

    z' = g z + (1 - g) m,   g = sigmoid(s),   (m, s) = MADE(z, h),   log |det dz'/dz| = sum_d log g_d

m_d and s_d depend on the dimensions of z before d and on the example, by the h that its encoder gives beside the
Gaussian to start from. The order of the dimensions is reversed after each flow.
"""

import functools
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, bounded
from vae_runner.distributions.flows.masked import MaskedNetwork
from vae_runner.distributions.flows.pushforward import Pushforward
from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.posteriors.posterior import Posterior
from vae_runner.settings import Range

OPEN = 1.5  # added to s, so that at first little is forgotten


class InverseAutoregressive(Posterior):
    """A Gaussian through `flows` flows, each with a network of `width` units; latents of any shape count as one vector."""

    per_unit: ClassVar[int] = 3
    provides: ClassVar[set[str]] = {"density", "reparameterised"}

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        flows: Annotated[int, Range(1, 100)] = 4,
        width: Annotated[int, Range(1, 65536)] = 128,
    ) -> None:
        super().__init__(latent_shape)
        size = torch.Size(latent_shape).numel()
        self.networks = nn.ModuleList(MaskedNetwork(size, size, width) for _ in range(flows))

    def forward(self, parameters: Tensor) -> Pushforward:
        """q for parameters (N, 3 * D, *rest): means, log-variances and h."""
        mean, log_variance, h = (part.flatten(1) for part in at_least_float32(parameters).chunk(3, dim=1))
        base = DiagonalGaussian(mean, bounded(log_variance))
        return Pushforward(base, functools.partial(self.flow, h=h), self.latent_shape)

    def flow(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """z (S, N, D) after all flows, and the log-determinant (S, N)."""
        log_determinant = torch.zeros(z.shape[:-1], dtype=z.dtype, device=z.device)
        for network in self.networks:
            shift, gate = (at_least_float32(output) for output in network(z, h))
            gate = gate + OPEN
            log_determinant = log_determinant + F.logsigmoid(gate).sum(-1)
            z = torch.lerp(shift, z, gate.sigmoid()).flip(-1)
        return z, log_determinant
