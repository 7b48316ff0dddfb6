import pytest
import torch
from sklearn.mixture import GaussianMixture as Oracle
from torch import distributions as oracle

from tests.distributions.quadrature import plane
from vae_runner.distributions.priors.mixture import Mixture
from vae_runner.distributions.priors.normal import Normal


def random_mixture(latent_shape: tuple[int, ...], components: int = 4) -> Mixture:
    prior = Mixture(latent_shape, components=components).double()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter)
    return prior


def torch_mixture(prior: Mixture) -> oracle.MixtureSameFamily:
    components = oracle.Normal(prior.means, (0.5 * prior.log_variances).exp())
    components = oracle.Independent(components, prior.means.ndim - 1)
    return oracle.MixtureSameFamily(oracle.Categorical(logits=prior.logits), components)


@pytest.mark.parametrize("latent_shape", [(3,), (2, 4, 5)])
@pytest.mark.parametrize("batch", [(6,), (2, 6)])
def test_the_log_prob_of_the_normal_prior_equals_torch_distributions(latent_shape, batch):
    z = torch.randn(*batch, *latent_shape)
    expected = oracle.Normal(0.0, 1.0).log_prob(z).flatten(len(batch)).sum(-1)
    torch.testing.assert_close(Normal(latent_shape)().log_prob(z), expected)


def test_samples_of_the_normal_prior_are_standard_normal():
    z = Normal((2, 3))().sample(20_000)
    assert z.shape == (20_000, 2, 3)
    torch.testing.assert_close(z.mean(0), torch.zeros(2, 3), atol=0.04, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(2, 3), atol=0.03, rtol=0)


def test_the_normal_prior_has_nothing_to_learn_or_to_save():
    prior = Normal((3,))
    assert not list(prior.parameters())
    assert not prior.state_dict()


@pytest.mark.parametrize("latent_shape", [(3,), (2, 4, 5)])
@pytest.mark.parametrize("batch", [(6,), (2, 6)])
def test_the_log_prob_of_a_mixture_equals_torch_distributions(latent_shape, batch):
    prior = random_mixture(latent_shape)
    z = torch.randn(*batch, *latent_shape, dtype=torch.float64)
    torch.testing.assert_close(prior().log_prob(z), torch_mixture(prior).log_prob(z))


def test_the_density_of_a_mixture_integrates_to_one_in_two_dimensions():
    z, weights = plane([[-30.0, 0.0, 30.0]] * 2, nodes=150)
    assert (random_mixture((2,))().log_prob(z).exp() * weights).sum().item() == pytest.approx(1, rel=1e-6)


def test_samples_of_a_mixture_have_its_moments():
    prior = random_mixture((3,))
    expected = torch_mixture(prior)
    z = prior().sample(60_000)
    assert z.shape == (60_000, 3)
    assert ((z.mean(0) - expected.mean).abs() < 5 * expected.stddev / 60_000**0.5).all()
    torch.testing.assert_close(z.var(0), expected.variance, rtol=0.05, atol=0)


def test_samples_of_a_mixture_at_temperature_zero_are_its_means():
    prior = random_mixture((3,))
    z = prior().sample(50, temperature=0.0)
    assert (torch.cdist(z, prior.means).amin(1) < 1e-6).all()


def planted(count: int) -> tuple[torch.Tensor, oracle.MixtureSameFamily]:
    """Codes as an autoencoder leaves them: separate clusters, of unequal widths, far from the origin."""
    means = torch.tensor([[20.0, 0.0], [0.0, 9.0], [-15.0, -15.0]])
    widths = torch.tensor([[0.5, 2.0], [1.0, 0.3], [3.0, 3.0]])
    truth = oracle.MixtureSameFamily(
        oracle.Categorical(torch.tensor([0.5, 0.3, 0.2])), oracle.Independent(oracle.Normal(means, widths), 1)
    )
    return truth.sample((count,)), truth


def test_a_mixture_fitted_to_codes_is_as_likely_as_that_of_scikit_learn():
    codes, _ = planted(2000)
    prior = Mixture((2,), components=12)
    prior.fit(codes)
    reference = Oracle(12, covariance_type="diag", random_state=0).fit(codes.numpy()).score(codes.numpy())
    assert prior().log_prob(codes).mean().item() > reference - 0.05


def test_a_fitted_mixture_is_as_likely_as_the_truth_on_new_codes():
    codes, truth = planted(4000)
    prior = Mixture((2,), components=8)
    prior.fit(codes[:2000])
    assert prior().log_prob(codes[2000:]).mean() > truth.log_prob(codes[2000:]).mean() - 0.05


def test_a_mixture_fits_spatial_codes_and_codes_without_variance():
    codes = torch.randn(100, 2, 3, 3)
    codes[:, 1] = 4.0
    prior = Mixture((2, 3, 3), components=3)
    prior.fit(codes)
    assert all(parameter.isfinite().all() for parameter in prior.parameters())
    torch.testing.assert_close(prior().sample(20)[:, 1], torch.full((20, 3, 3), 4.0), atol=0.01, rtol=0)


def test_a_mixture_is_learned_by_gradient():
    codes, _ = planted(500)
    prior = Mixture((2,), components=8)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.3)
    for _ in range(150):
        optimizer.zero_grad()
        (-prior().log_prob(codes).mean()).backward()
        optimizer.step()
    one = Mixture((2,), components=1)
    one.fit(codes)
    assert prior().log_prob(codes).mean() > one().log_prob(codes).mean() + 0.5
