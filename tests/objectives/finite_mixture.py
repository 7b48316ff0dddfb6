"""What is exactly known of an aggregate posterior q(z) that is a finite mixture of Gaussians."""

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian


def mixture(q: DiagonalGaussian) -> tuple[MixtureSameFamily, list[MixtureSameFamily]]:
    """q(z) and each q(z_d), by torch.distributions."""
    mean, scale = q.mean.double(), (q.log_variance.double() / 2).exp()
    even = Categorical(torch.ones(len(mean), dtype=torch.double))
    units = [MixtureSameFamily(even, Normal(mean[:, d], scale[:, d])) for d in range(mean.shape[1])]
    return MixtureSameFamily(even, Independent(Normal(mean, scale), 1)), units


def exact_terms(q: DiagonalGaussian, reach: float = 6.0, points: int = 125) -> dict[str, float]:
    """The three parts of the KL to a standard normal, for latents of two dimensions, by integration on a grid."""
    joint, units = mixture(q)
    axis = torch.linspace(-reach, reach, points, dtype=torch.double)
    z = torch.cartesian_prod(axis, axis)
    log_q = torch.cat([joint.log_prob(part) for part in z.split(2000)])
    apart = sum(torch.cartesian_prod(*[unit.log_prob(axis) for unit in units]).unbind(1))
    mass = log_q.exp() * (axis[1] - axis[0]) ** 2
    assert abs(mass.sum() - 1) < 1e-6
    standard = Normal(0.0, 1.0).log_prob(z).sum(1)
    entropy_of_each = (0.5 * q.log_variance + Normal(0.0, 1.0).entropy()).sum(1).mean()
    return {
        "mutual_information": float(-(mass * log_q).sum() - entropy_of_each),
        "total_correlation": float((mass * (log_q - apart)).sum()),
        "dimension_wise_kl": float((mass * (apart - standard)).sum()),
    }


def total_correlation(q: DiagonalGaussian, draws: int = 4000) -> float:
    """KL(q(z) || prod_d q(z_d)), from draws of q(z); as exact as there are many."""
    joint, units = mixture(q)
    z: Tensor = joint.sample((draws,))
    return float((joint.log_prob(z) - sum(unit.log_prob(z[:, d]) for d, unit in enumerate(units))).mean())
