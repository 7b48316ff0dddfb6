"""Posteriors of N examples by their units: independent numbers, or variables of so many classes, at each position.

A direction on a sphere is one unit: its numbers hang on each other.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.distributions.numerics import LOG_TWO_PI
from vae_runner.distributions.one_hots import OneHots
from vae_runner.distributions.posteriors.joint import Product
from vae_runner.distributions.von_mises_fisher import VonMisesFisher
from vae_runner.evaluation.checks import exact

KNOWN = (DiagonalGaussian, OneHots, Product, VonMisesFisher)
CHUNK = 2_000_000  # log-densities of single units held at once
WITHIN = 8  # standard deviations around every posterior that are integrated over
POINTS = 20_000  # of the integral, at most; two to the narrowest standard deviation are enough


def together(parts: Sequence[Any]) -> Any:
    """The posteriors of the examples of several batches as those of one."""
    first = parts[0]
    if isinstance(first, Product):
        one, other = (together([getattr(q, half) for q in parts]) for half in ("first", "second"))
        return Product(one, other, first.size, first.axis)
    if isinstance(first, OneHots):
        return OneHots(torch.cat([q.log_chances for q in parts]).flatten(1, 2), first.classes)
    names = ("mean", "kappa") if isinstance(first, VonMisesFisher) else ("mean", "log_variance")
    return type(first)(*(torch.cat([getattr(q, name) for q in parts]) for name in names))


def log_probs(q: Any, z: Tensor) -> Tensor:
    """log q(z_d|x_n) in nats of each unit d of z (M, *latent_shape) under each of N posteriors, (M, N, units)."""
    if isinstance(q, Product):
        first, second = z.split([q.size, z.shape[q.axis] - q.size], q.axis)
        return torch.cat([log_probs(q.first, first), log_probs(q.second, second)], 2)
    if isinstance(q, OneHots):
        chosen, log_chances = (_by_variable(part) for part in (z.unflatten(1, (-1, q.classes)), q.log_chances))
        return torch.einsum("muc,nuc->mnu", chosen, log_chances)
    if isinstance(q, DiagonalGaussian):
        mean, log_variance = q.mean.flatten(1), q.log_variance.flatten(1)
        # few passes over all pairs
        away = (z.flatten(1)[:, None] - mean).mul_((-0.5 * log_variance).exp())
        return torch.addcmul(-0.5 * (log_variance + LOG_TWO_PI), away, away, value=-0.5)
    return q.log_prob(z[:, None].expand(-1, len(q.mean), *z.shape[1:]))[:, :, None]


def merged_log_probs(proposed: DiagonalGaussian, p: DiagonalGaussian, z: Tensor) -> Tensor:
    """The same of z (M, *latent_shape) under what N examples propose, each merged with each of M expectations p.

    Precisions a and b add up, and (a + b) (z - mean) = a (z - m_a) + b (z - m_b): what is of one example, or of one z,
    is computed once, and few passes are left over all pairs.
    """
    a, b = ((-q.log_variance).flatten(1).exp() for q in (proposed, p))
    z, at_a, at_b = z.flatten(1), proposed.mean.flatten(1), p.mean.flatten(1)
    pull = torch.addcmul((b * (z - at_b))[:, None] - a * at_a, a, z[:, None])
    precision = a + b[:, None]
    return 0.5 * (precision.log() - pull.square_().div_(precision) - LOG_TWO_PI)


def information(q: Any) -> Tensor | None:
    """I(x; z_d) in nats of each unit, (units,), from 0 to log N, without draws: H(q(z_d)) - E_n H(q(z_d|x_n)).

    q(z_d) is the mixture of the N posteriors. None for a sphere, whose one unit is all of z.
    """
    if isinstance(q, Product):
        return torch.cat([part for half in (q.first, q.second) if (part := information(half)) is not None])
    if isinstance(q, OneHots):
        chances = _by_variable(exact(q.log_chances).exp())
        of_mixture, of_each = (torch.special.entr(p).sum(-1) for p in (chances.mean(0), chances))
        return (of_mixture - of_each.mean(0)).clamp_min(0)
    return _of_gaussians(q) if isinstance(q, DiagonalGaussian) else None


def _by_variable(values: Tensor) -> Tensor:
    """Values (N, V, C, *rest) of V variables of C classes at each position as (N, units, C)."""
    return values.movedim(2, -1).flatten(1, -2)


def _of_gaussians(q: DiagonalGaussian) -> Tensor:
    """The entropy of a mixture is an integral over the line, by the trapezoidal rule, which converges exponentially."""
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
