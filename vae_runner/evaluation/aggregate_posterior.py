"""What the aggregate posterior q(z) = 1/N sum_n q(z|x_n) of N examples has to do with each of them, and with the prior.

    E_n KL(q(z|x_n) || p(z)) = I(x; z) + TC + sum_d KL(q(z_d) || p(z_d))
    I(x; z) = E[log q(z|x) - log q(z)],   TC = E[log q(z) - sum_d log q(z_d)]
    KL(q(z) || p(z)) = E[log q(z) - log p(z)],   I(x; z_d) = E[log q(z_d|x) - log q(z_d)]

Hoffman and Johnson 2016; Chen et al. 2018, equation 2. The mixture of the N posteriors is taken as it is, so that q(z)
is exact for these examples and only the expectation over z is drawn; not even that for single units, whose integral
is of one dimension. I(x; z) is at most log N. Diagonal Gaussians only.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.distributions.numerics import LOG_TWO_PI
from vae_runner.evaluation.checks import exact

CHUNK = 2_000_000  # log-densities of single units held at once
WITHIN = 8  # standard deviations around every posterior that are integrated over
POINTS = 20_000  # of the integral, at most; two to the narrowest standard deviation are enough


@dataclass(frozen=True)
class Estimate:
    """A mean over draws, in nats, with its standard error."""

    mean: float
    standard_error: float


@dataclass(frozen=True)
class Decomposition:
    """mutual_information: I(x; z). divergence: KL(q(z) || p(z)). total_correlation: TC. examples: N.

    unit_information: I(x; z_d) of each unit, (D,), in double precision. draws: of z for each example.
    """

    mutual_information: Estimate
    divergence: Estimate
    total_correlation: Estimate
    unit_information: Tensor
    examples: int
    draws: int


def decompose(q: DiagonalGaussian, p: Any, draws: int = 1) -> Decomposition:
    """The terms for the posteriors q of N examples and a prior p, from `draws` of z per example."""
    n = len(q.mean)
    z = q.sample(draws).flatten(0, 1)
    owner = torch.arange(n, device=z.device).repeat(draws)
    log_prior = p.log_prob(z.view(draws, n, *z.shape[1:])).flatten()
    z = z.flatten(1)
    # every unit of every example as a distribution of its own
    alone = DiagonalGaussian(q.mean.reshape(-1, 1), q.log_variance.reshape(-1, 1))
    totals: list[Tensor] = []
    for rows in torch.arange(len(z), device=z.device).split(max(CHUNK // (n * z.shape[1]), 1)):
        every = alone.log_prob(z[rows].repeat(1, n)[:, :, None]).unflatten(1, (n, -1))
        own = every[torch.arange(len(rows), device=z.device), owner[rows]]
        marginals = every.logsumexp(1) - math.log(n)
        joint = every.sum(2).logsumexp(1) - math.log(n)
        total = torch.stack([own.sum(1) - joint, joint - log_prior[rows], joint - marginals.sum(1)], 1)
        totals.append(total)
    information, divergence, correlation = (_estimate(column) for column in torch.cat(totals).double().unbind(1))
    return Decomposition(information, divergence, correlation, unit_information(q), n, draws)


def unit_information(q: DiagonalGaussian) -> Tensor:
    """I(x; z_d) in nats of each unit, (D,), from 0 to log N, in double precision: H(q(z_d)) - E_n H(q(z_d|x_n)).

    The entropy of the mixture is an integral over the line, by the trapezoidal rule, which converges exponentially.
    """
    means, log_variances = (exact(part).flatten(1).T for part in (q.mean, q.log_variance))
    found = []
    for mean, log_variance in zip(means, log_variances, strict=True):
        deviation = (0.5 * log_variance).exp()
        start, end = (mean - WITHIN * deviation).min(), (mean + WITHIN * deviation).max()
        points = min(max(int(2 * (end - start) / deviation.min()), 100), POINTS)
        z, log_q = torch.linspace(float(start), float(end), points, dtype=mean.dtype, device=mean.device), []
        for part in z.split(max(CHUNK // len(mean), 1)):
            terms = ((part[:, None] - mean) / deviation).square() + log_variance + LOG_TWO_PI
            log_q.append((-0.5 * terms).logsumexp(1) - math.log(len(mean)))
        density = torch.cat(log_q)
        entropy = -torch.trapezoid(density.exp() * density, z)
        found.append(entropy - 0.5 * (log_variance + LOG_TWO_PI + 1).mean())
    return torch.stack(found).clamp_min(0)


def _estimate(values: Tensor) -> Estimate:
    return Estimate(float(values.mean()), float(values.std() / math.sqrt(len(values))))
