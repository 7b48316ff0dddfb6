"""The parts of the KL against closed forms: Gaussian codes with noise have a Gaussian aggregate posterior."""

import math

import pytest
import torch

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.evaluation.aggregate_posterior import decompose

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
