import pytest
import torch
from torch import distributions as oracle

from tests.distributions.quadrature import plane
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.distributions.posteriors.delta import Delta
from vae_runner.distributions.posteriors.gaussian import Gaussian
from vae_runner.distributions.priors.mixture import Mixture
from vae_runner.distributions.priors.normal import Normal


def gaussian(*shape: int) -> tuple[DiagonalGaussian, oracle.Normal]:
    """Ours and the oracle's, in double precision."""
    mean, log_variance = torch.randn(2, *shape, dtype=torch.float64)
    return DiagonalGaussian(mean, log_variance), oracle.Normal(mean, (0.5 * log_variance).exp())


def around(q: oracle.Normal, deviations: float = 12.0) -> list[list[float]]:
    means, widths = q.mean.flatten().tolist(), q.stddev.flatten().tolist()
    return [[m - deviations * s, m, m + deviations * s] for m, s in zip(means, widths, strict=True)]


@pytest.mark.parametrize("latent_shape", [(3,), (3, 4, 5)])
def test_parameters_are_split_along_dimension_one(latent_shape):
    parameters = torch.randn(2, 6, *latent_shape[1:])
    q = Gaussian(latent_shape)(parameters)
    assert torch.equal(q.mean, parameters[:, :3])
    assert torch.equal(q.log_variance, parameters[:, 3:])


@pytest.mark.parametrize("latent_shape", [(3,), (3, 4, 5)])
def test_the_log_prob_of_a_gaussian_equals_torch_distributions(latent_shape):
    q, expected = gaussian(6, *latent_shape)
    z = torch.randn(4, 6, *latent_shape, dtype=torch.float64)
    torch.testing.assert_close(q.log_prob(z), expected.log_prob(z).flatten(2).sum(2))


def test_the_density_of_a_gaussian_integrates_to_one_in_two_dimensions():
    q, expected = gaussian(1, 2)
    z, weights = plane(around(expected))
    assert (q.log_prob(z[:, None])[:, 0].exp() * weights).sum().item() == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize("latent_shape", [(3,), (3, 4, 5)])
def test_the_kl_of_a_gaussian_to_the_standard_normal_equals_torch_distributions(latent_shape):
    q, expected = gaussian(6, *latent_shape)
    p = StandardNormal(torch.zeros(latent_shape, dtype=torch.float64))
    kl = oracle.kl_divergence(expected, oracle.Normal(torch.zeros(latent_shape), torch.ones(latent_shape)))
    torch.testing.assert_close(q.kl_units(p), kl.reshape(6, 3, -1).sum(2))


@pytest.mark.parametrize("latent_shape", [(3,), (3, 4, 5)])
def test_the_kl_between_gaussians_equals_torch_distributions(latent_shape):
    (q, expected_q), (p, expected_p) = gaussian(6, *latent_shape), gaussian(6, *latent_shape)
    kl = oracle.kl_divergence(expected_q, expected_p)
    torch.testing.assert_close(q.kl_units(p), kl.reshape(6, 3, -1).sum(2))


@pytest.mark.parametrize("standard", [True, False])
def test_the_kl_equals_its_integral_in_two_dimensions(standard):
    q, expected = gaussian(1, 2)
    p = StandardNormal(torch.zeros(2, dtype=torch.float64)) if standard else gaussian(1, 2)[0]
    z, weights = plane(around(expected))
    log_q, log_p = q.log_prob(z[:, None])[:, 0], p.log_prob(z[:, None])[:, 0]
    integral = (log_q.exp() * (log_q - log_p) * weights).sum()
    torch.testing.assert_close(q.kl_units(p).sum(), integral, rtol=1e-9, atol=0)


def test_a_prior_that_is_not_gaussian_has_no_closed_form():
    assert gaussian(2, 3)[0].kl_units(Mixture((3,))()) is None


def test_the_kl_in_float32_is_never_negative_and_keeps_its_digits_near_zero():
    log_variance = torch.cat([torch.logspace(-12, 0, 2000), -torch.logspace(-12, 0, 2000)])[:, None]
    kl = DiagonalGaussian(torch.zeros_like(log_variance), log_variance).kl_units(Normal((1,))())
    assert (kl >= 0).all()
    exact = oracle.kl_divergence(oracle.Normal(0, (0.5 * log_variance.double()).exp()), oracle.Normal(0.0, 1.0))
    large = log_variance.abs() > 1e-3
    torch.testing.assert_close(kl[large].double(), exact[large], rtol=1e-3, atol=0)


def test_samples_have_the_moments_of_the_posterior_and_its_shape():
    q = Gaussian((3,))(torch.randn(2, 6))
    z = q.sample(40_000)
    assert z.shape == (40_000, 2, 3)
    deviation = (0.5 * q.log_variance).exp()
    assert ((z.mean(0) - q.mean).abs() < 5 * deviation / 200).all()
    torch.testing.assert_close(z.std(0), deviation, rtol=0.03, atol=0)


def test_the_temperature_multiplies_the_deviation_of_samples():
    q = Gaussian((3,))(torch.randn(2, 6))
    assert torch.equal(q.sample(2, temperature=0.0), q.mean.expand(2, 2, 3))
    torch.testing.assert_close(
        q.sample(20_000, temperature=0.5).std(0), 0.5 * (0.5 * q.log_variance).exp(), rtol=0.03, atol=0
    )


def test_samples_are_differentiable_in_mean_and_variance():
    parameters = torch.zeros(1, 2, requires_grad=True)
    Gaussian((1,))(parameters).sample(1000).square().mean().backward()
    # d/dm of E z^2 = 2m = 0, d/d log v of E z^2 = v = 1
    assert parameters.grad.tolist()[0] == pytest.approx([0, 1], abs=0.2)


@pytest.mark.parametrize("standard", [True, False])
def test_merging_multiplies_the_densities(standard):
    a = gaussian(5, 2)[0]
    b = StandardNormal(torch.zeros(2, dtype=torch.float64)) if standard else gaussian(5, 2)[0]
    z = torch.randn(30, 5, 2, dtype=torch.float64)
    difference = a.merge(b).log_prob(z) - (a.log_prob(z) + b.log_prob(z))
    torch.testing.assert_close(difference, difference[:1].expand_as(difference))


def test_a_deterministic_code_is_every_sample_of_itself():
    codes = torch.randn(4, 3)
    q = Delta((3,))(codes)
    assert torch.equal(q.mean, codes)
    assert torch.equal(q.sample(2), torch.stack([codes, codes]))


def test_a_deterministic_code_has_no_density():
    q = Delta((3,))(torch.randn(4, 3))
    assert not hasattr(q, "log_prob")
    assert not hasattr(q, "kl_units")
    assert "density" not in Delta.provides


def test_a_deterministic_code_asks_for_a_prior_that_is_fitted_to_it():
    assert set(Delta.requires) == {"prior.fitted|objective.matches_prior"}
    assert "fitted" in Mixture.provides
    assert "fitted" not in Normal.provides
