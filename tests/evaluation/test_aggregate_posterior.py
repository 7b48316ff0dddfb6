"""The parts of the KL against closed forms: Gaussian codes with noise have a Gaussian aggregate posterior."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.evaluation.aggregate_posterior import decompose, unit_information

NOISE = 0.5  # variance of q(z|x)


@pytest.fixture(scope="module")
def correlated():
    """4,000 posteriors with means from N(m, S): together they are N(m, S + NOISE I), but for the draw of the means."""
    mean, covariance = torch.tensor([0.5, 0.0, 0.0]), torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1e-6]])
    torch.manual_seed(0)
    means = torch.distributions.MultivariateNormal(mean, covariance).sample((4000,))
    q = DiagonalGaussian(means.double(), torch.full((4000, 3), math.log(NOISE), dtype=torch.double))
    return q, mean, covariance + NOISE * torch.eye(3)


@pytest.fixture(scope="module")
def parts(correlated):
    torch.manual_seed(1)
    return decompose(correlated[0], StandardNormal(torch.zeros(3, dtype=torch.double)))


def test_the_divergence_from_the_prior_is_that_of_two_gaussians(parts, correlated):
    _, mean, covariance = correlated
    aggregate = torch.distributions.MultivariateNormal(mean, covariance)
    exact = torch.distributions.kl_divergence(
        aggregate, torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3))
    )
    assert parts.divergence.mean == pytest.approx(float(exact), abs=0.05)


def test_the_total_correlation_is_that_of_correlated_gaussians(parts):
    correlation = 0.8 / (1 + NOISE)
    assert parts.total_correlation.mean == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.03)


def test_the_information_is_that_of_gaussian_channels(parts, correlated):
    _, _, covariance = correlated
    joint = 0.5 * (torch.logdet(covariance) - 3 * math.log(NOISE))
    assert parts.mutual_information.mean == pytest.approx(float(joint), abs=0.05)
    assert parts.unit_information[0] == pytest.approx(0.5 * math.log(1 + 1 / NOISE), abs=0.03)
    assert parts.unit_information[2] == pytest.approx(0, abs=1e-3)


def test_the_information_of_a_unit_is_that_of_its_mixture_by_another_integration():
    """Posteriors as a trained model has them: wide and narrow, far apart and alike, and one of two narrow heaps."""
    torch.manual_seed(0)
    mean = torch.stack([torch.randn(60), 0.05 * torch.randn(60), 3 * torch.randn(60), torch.randn(60).sign()], 1)
    deviation = torch.stack([torch.rand(60) + 0.05, 0.9 + 0.1 * torch.rand(60), torch.full((60,), 0.01)], 1)
    deviation = torch.cat([deviation, torch.full((60, 1), 1e-3)], 1)
    found = unit_information(DiagonalGaussian(mean.double(), 2 * deviation.double().log()))
    each = []
    for unit in range(4):
        part = stats.norm(mean[:, unit].numpy(), deviation[:, unit].numpy())
        cuts = np.unique(part.mean()[:, None] + np.arange(-9, 10) * part.std()[:, None])
        cuts = cuts[np.diff(cuts, prepend=-np.inf) > 1e-6]
        each.append(_entropy(part, cuts) - part.entropy().mean())
    assert found.tolist() == pytest.approx(each, abs=1e-6)
    assert found[3] == pytest.approx(math.log(2), abs=0.01)


def _entropy(parts, cuts):
    """Of the mixture of scipy's distributions, by adaptive quadrature between the cuts."""
    pieces = itertools.pairwise(cuts)
    return sum(integrate.quad(lambda z: special.entr(parts.pdf(z).mean()), *ends)[0] for ends in pieces)


def _entropy(parts, cuts):
    """Of the mixture of scipy's distributions, by adaptive quadrature between the cuts."""
    pieces = itertools.pairwise(cuts)
    return sum(integrate.quad(lambda z: special.entr(parts.pdf(z).mean()), *ends)[0] for ends in pieces)


def test_the_parts_add_up_to_the_kl(parts, correlated):
    """I + KL(q(z) || p(z)) is the mean KL, which has a closed form, within the standard errors of the two."""
    q, _, _ = correlated
    total = q.kl_units(StandardNormal(torch.zeros(3, dtype=torch.double))).sum(1).mean()
    estimate = parts.mutual_information.mean + parts.divergence.mean
    spread = parts.mutual_information.standard_error + parts.divergence.standard_error
    assert abs(estimate - float(total)) < 4 * spread


def test_information_cannot_exceed_the_logarithm_of_the_examples():
    means = 100.0 * torch.arange(8)[:, None].float()
    parts = decompose(DiagonalGaussian(means, torch.zeros(8, 1)), StandardNormal(torch.zeros(1)))
    assert parts.mutual_information.mean == pytest.approx(math.log(8))
