"""What the aggregate posterior q(z) = 1/N sum_n q(z|x_n) of N examples has to do with each of them, and with the prior.

    E_n KL(q(z|x_n) || p(z)) = I(x; z) + TC + sum_d KL(q(z_d) || p(z_d))
    I(x; z) = E[log q(z|x) - log q(z)],   TC = E[log q(z) - sum_d log q(z_d)]
    KL(q(z) || p(z)) = E[log q(z) - log p(z)],   I(x; z_d) = E[log q(z_d|x) - log q(z_d)]

Hoffman and Johnson 2016; Chen et al. 2018, equation 2. The mixture of the N posteriors is taken as it is, so that q(z)
is exact for these examples and only the expectation over z is drawn. I(x; z) is at most log N. Diagonal Gaussians only.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian

CHUNK = 2_000_000  # log-densities of single units held at once


@dataclass(frozen=True)
class Estimate:
    """A mean over draws, in nats, with its standard error."""

    mean: float
    standard_error: float


@dataclass(frozen=True)
class Decomposition:
    """mutual_information: I(x; z). divergence: KL(q(z) || p(z)). total_correlation: TC. examples: N.

    unit_information: I(x; z_d) of each unit, (D,).
    """

    mutual_information: Estimate
    divergence: Estimate
    total_correlation: Estimate
    unit_information: Tensor
    examples: int


def decompose(q: DiagonalGaussian, p: Any, draws: int = 1) -> Decomposition:
    """The terms for the posteriors q of N examples and a prior p, from `draws` of z per example."""
    n = len(q.mean)
    z = q.sample(draws).flatten(0, 1)
    owner = torch.arange(n, device=z.device).repeat(draws)
    log_prior = p.log_prob(z.view(draws, n, *z.shape[1:])).flatten()
    z = z.flatten(1)
    # every unit of every example as a distribution of its own
    alone = DiagonalGaussian(q.mean.reshape(-1, 1), q.log_variance.reshape(-1, 1))
    units: list[Tensor] = []
    totals: list[Tensor] = []
    for rows in torch.arange(len(z), device=z.device).split(max(CHUNK // (n * z.shape[1]), 1)):
        every = alone.log_prob(z[rows].repeat(1, n)[:, :, None]).unflatten(1, (n, -1))
        own = every[torch.arange(len(rows), device=z.device), owner[rows]]
        marginals = every.logsumexp(1) - math.log(n)
        joint = every.sum(2).logsumexp(1) - math.log(n)
        units.append(own - marginals)
        total = torch.stack([own.sum(1) - joint, joint - log_prior[rows], joint - marginals.sum(1)], 1)
        totals.append(total)
    information, divergence, correlation = (_estimate(column) for column in torch.cat(totals).double().unbind(1))
    return Decomposition(information, divergence, correlation, torch.cat(units).mean(0), n)


def _estimate(values: Tensor) -> Estimate:
    return Estimate(float(values.mean()), float(values.std() / math.sqrt(len(values))))
