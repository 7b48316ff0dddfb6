import pytest
import torch
from scipy import stats
from torch import distributions as oracle

from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.bernoulli import Bernoulli
from vae_runner.distributions.likelihoods.categorical import Categorical
from vae_runner.distributions.likelihoods.gaussian import Gaussian
from vae_runner.distributions.likelihoods.laplace import Laplace
from vae_runner.errors import UserError

TEXT = Space((6,), "categorical", categories=5)


def test_categorical_equals_torch_distributions():
    logits, x = torch.randn(4, 6, 5, dtype=torch.float64), torch.randint(5, (4, 6))
    px = Categorical(TEXT)(logits)
    torch.testing.assert_close(px.log_prob(x), oracle.Categorical(logits=logits).log_prob(x).sum(1))


def test_the_mass_of_all_texts_is_one():
    everything = torch.cartesian_prod(*[torch.arange(3)] * 4)
    px = Categorical(Space((4,), "categorical", categories=3))(torch.randn(4, 3).expand(81, 4, 3))
    assert px.log_prob(everything).exp().sum().item() == pytest.approx(1, rel=1e-5)


def test_a_mask_leaves_out_what_it_hides():
    logits, x, mask = torch.randn(4, 6, 5), torch.randint(5, (4, 6)), torch.ones(4, 6)
    mask[:, 2:] = 0
    px, first = Categorical(TEXT)(logits), Categorical(TEXT)(logits[:, :2])
    torch.testing.assert_close(px.log_prob(x, mask), first.log_prob(x[:, :2]))


def test_its_mean_is_what_is_most_probable():
    logits = torch.randn(4, 6, 5)
    assert torch.equal(Categorical(TEXT)(logits).mean, oracle.Categorical(logits=logits).probs.max(-1).indices)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_are_drawn_at_a_temperature(temperature):
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0])
    px = Categorical(Space((1,), "categorical", categories=4))(logits.expand(20_000, 1, 4))
    counts = px.sample(temperature).flatten().bincount(minlength=4)
    probabilities = logits.double().div(temperature).softmax(0)
    assert stats.chisquare(counts.numpy(), (20_000 * probabilities).numpy()).pvalue > 1e-3


def test_a_step_at_a_time_is_the_whole():
    likelihood, logits, x = Categorical(TEXT), torch.randn(4, 6, 5), torch.randint(5, (4, 6))
    steps = [likelihood(logits[:, t : t + 1]).log_prob(x[:, t : t + 1]) for t in range(6)]
    torch.testing.assert_close(sum(steps), likelihood(logits).log_prob(x))


def test_each_step_has_a_logit_per_category():
    likelihood = Categorical(TEXT)
    assert likelihood.parameter_shape == (6, 5)
    px = likelihood(torch.randn(4, 6, 5))
    assert px.mean.shape == px.sample().shape == (4, 6)
    assert px.sample().dtype == torch.int64


@pytest.mark.parametrize("family", [Gaussian, Laplace, Bernoulli])
def test_numbers_are_refused_and_so_are_categories_elsewhere(family):
    with pytest.raises(UserError, match=r"likelihood=categorical takes values categories.*: type likelihood="):
        Categorical(Space((6, 2), sorted(family.supports)[0]))
    with pytest.raises(UserError, match="those of this data are categories: type likelihood=categorical"):
        family(TEXT)


@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_a_sequence_with_a_scale_per_value_is_the_sum_of_its_steps(family):
    likelihood = family(Space((7, 3), "real"), variance="pixel", scale=0.5)
    assert likelihood.parameter_shape == (7, 6)
    parameters, x = torch.randn(5, 7, 6), torch.randn(5, 7, 3)
    whole = likelihood(parameters)
    steps = [likelihood(parameters[:, t : t + 1]).log_prob(x[:, t : t + 1]) for t in range(7)]
    torch.testing.assert_close(sum(steps), whole.log_prob(x))
    assert whole.mean.shape == whole.log_scale.shape == whole.sample().shape == (5, 7, 3)


@pytest.mark.parametrize("family", [Gaussian, Laplace, Bernoulli])
def test_padding_of_a_sequence_counts_nothing(family):
    likelihood = family(Space((7, 3), "unit"))
    parameters, x, mask = torch.randn(5, 7, 3), torch.rand(5, 7, 3), torch.ones(5, 7, 1)
    mask[:, 4:] = 0
    shorter = likelihood(parameters[:, :4]).log_prob(x[:, :4])
    torch.testing.assert_close(likelihood(parameters).log_prob(x, mask), shorter)
