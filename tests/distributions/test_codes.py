"""Posteriors over codes, and the uniform prior over what they can make."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as oracle
from torch.nn import functional as F

from vae_runner.data.space import Space
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.distributions.posteriors.categorical import Categorical
from vae_runner.distributions.posteriors.joint import Joint
from vae_runner.distributions.posteriors.quantized import Quantized
from vae_runner.distributions.priors.normal import Normal
from vae_runner.distributions.priors.uniform import Uniform
from vae_runner.errors import UserError

POSTERIORS = {
    "quantized": lambda shape: Quantized(shape, codes=7, code_dim=2),
    "categorical": lambda shape: Categorical(shape, classes=3),
    "joint": lambda shape: Joint(shape, variables=2, classes=2),
}


@pytest.fixture(params=POSTERIORS)
def posterior(request):
    return POSTERIORS[request.param]


def uniform_prior(posterior: torch.nn.Module) -> Uniform:
    prior = Uniform(posterior.latent_shape)
    prior.attach(Space((1, 8, 8), "unit"), posterior, lambda x, context=None: None)
    return prior


def parameters_of(posterior: torch.nn.Module, n: int = 5) -> torch.Tensor:
    channels, *rest = posterior.latent_shape
    return torch.randn(n, posterior.per_unit * channels, *rest)


# all of them


@pytest.mark.parametrize("shape", [(6,), (6, 2, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_codes_samples_and_densities_have_the_shapes_of_the_latents(posterior, shape, training):
    module = posterior(shape).train(training)
    q, p = module(parameters_of(module)), uniform_prior(module)()
    z = q.sample(4)
    assert q.mean.shape == (5, *shape)
    assert z.shape == (4, 5, *shape)
    assert q.log_prob(z).shape == p.log_prob(z).shape == (4, 5)
    assert q.kl_units(p).shape[0] == 5
    assert p.sample(8, 0.5).shape == (8, *shape)
    assert p.log_prob(p.sample(8)).shape == (8,)


@pytest.mark.parametrize("shape", [(6,), (6, 2, 3)])
def test_a_step_over_codes_never_waits_for_the_device(posterior, shape, no_waiting):
    module = posterior(shape)
    prior, parameters = uniform_prior(module), parameters_of(module).requires_grad_()
    with no_waiting():
        q, p = module(parameters), prior()
        z = q.sample()
        (q.kl_units(p).sum() + z.square().sum() - q.log_prob(z).sum()).backward()
        prior.sample(3)
    assert parameters.grad.isfinite().all()


def test_codes_are_float32_under_autocast(posterior):
    module = posterior((6,)).eval()
    parameters = parameters_of(module).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        q = module(parameters)
        drawn = q.sample()
    assert drawn.dtype is q.kl_units(uniform_prior(module)()).dtype is torch.float32
    torch.testing.assert_close(q.mean, module(parameters.float()).mean)


def test_the_uniform_prior_asks_for_codes_that_can_be_uniform(posterior):
    assert set(Uniform.requires) == {"posterior.uniform"}
    assert "uniform" in posterior((6,)).provides
    assert set(posterior((6,)).requires) == {"prior.over_codes"}
    assert "over_codes" in Uniform.provides
    assert "over_codes" not in Normal.provides


# quantized


def nearest(codebook: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.array([np.argmin([np.sum((v - e) ** 2) for e in codebook]) for v in vectors])


def test_every_vector_becomes_the_nearest_of_the_codebook():
    posterior = Quantized((6, 2, 3), codes=9, code_dim=3).eval()
    h = torch.randn(4, 6, 2, 3)
    q = posterior(h)
    for n, group, i, j in itertools.product(range(4), range(2), range(2), range(3)):
        vector = h[n, 3 * group : 3 * group + 3, i, j].numpy()
        code = nearest(posterior.codebook.numpy(), vector[None])[0]
        assert torch.equal(q.mean[n, 3 * group : 3 * group + 3, i, j], posterior.codebook[code])


@pytest.mark.parametrize("shape", [(6,), (6, 2, 3)])
@pytest.mark.parametrize("batch", [(5,), (2, 5)])
def test_indices_and_vectors_are_inverse(shape, batch):
    posterior = Quantized(shape, codes=9, code_dim=3)
    indices = torch.randint(9, (*batch, posterior.positions))
    z = posterior.vectors(indices)
    assert z.shape == (*batch, *shape)
    assert torch.equal(posterior.indices_of(z), indices)


@pytest.mark.parametrize("training", [True, False])
def test_the_codes_of_a_draw_are_those_it_was_made_of_even_while_the_codebook_moves(training):
    posterior = Quantized((6,), codes=9, code_dim=3).train(training)
    for _ in range(5):
        z = posterior(torch.randn(8, 6)).sample()[0]
        assert torch.equal(posterior.vectors(posterior.indices_of(z)), z)


def test_the_gradient_goes_straight_through_to_the_vectors():
    posterior = Quantized((6,), codes=9, code_dim=3, commitment=0.0)
    h, weights = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6)
    (posterior(h).sample()[0] * weights).sum().backward()
    assert torch.equal(h.grad, weights)


def test_the_commitment_pulls_vectors_to_their_codes_with_its_weight():
    posterior = Quantized((6,), codes=9, code_dim=3, commitment=0.7).eval()
    h = torch.randn(4, 6, requires_grad=True)
    q = posterior(h)
    (gradient,) = torch.autograd.grad(q.penalties["commitment"], h)
    torch.testing.assert_close(gradient, 0.7 * 2 * (h - q.mean).detach() / 4)


def test_the_codebook_follows_an_independent_computation():
    posterior = Quantized((4,), codes=5, code_dim=2, decay=0.9)
    draw = np.random.default_rng(0)
    posterior(torch.randn(50, 4))
    codebook, use, sums = (t.double().numpy().copy() for t in (posterior.codebook, posterior.use, posterior.sums))
    for _ in range(20):
        h = draw.normal(size=(50, 4)).astype(np.float32)
        posterior(torch.from_numpy(h))
        vectors = h.reshape(100, 2)
        found = nearest(codebook, vectors)
        for code in range(5):
            own = vectors[found == code]
            use[code] = 0.9 * use[code] + 0.1 * len(own)
            sums[code] = 0.9 * sums[code] + 0.1 * own.sum(0)
        codebook = sums / use[:, None]
        np.testing.assert_allclose(posterior.codebook.numpy(), codebook, rtol=1e-4, atol=1e-5)


def test_the_codebook_finds_the_centres_of_clusters():
    centres = torch.tensor([[8.0, 0.0], [0.0, 8.0], [-8.0, 0.0], [0.0, -8.0]])
    posterior = Quantized((2,), codes=12, code_dim=2, decay=0.8)
    for _ in range(100):
        h = centres[torch.randint(4, (64,))] + 0.1 * torch.randn(64, 2)
        posterior(h)
    posterior.eval()
    assert (torch.cdist(centres, posterior(centres).mean).diagonal() < 0.3).all()


def test_a_code_that_nothing_falls_to_is_moved_to_where_vectors_are():
    posterior = Quantized((2,), codes=8, code_dim=2, decay=0.9)
    posterior(torch.randn(200, 2))
    for _ in range(60):
        posterior(100 + torch.randn(200, 2))
    assert (posterior.codebook > 90).all()
    assert posterior.eval()(100 + torch.randn(500, 2)).figures["codebook_perplexity"] > 6


def test_the_codebook_rests_outside_of_training_and_is_saved():
    posterior = Quantized((4,), codes=5, code_dim=2)
    posterior(torch.randn(20, 4))
    posterior.eval()
    before = {name: value.clone() for name, value in posterior.state_dict().items()}
    posterior(torch.randn(20, 4))
    assert set(before) == {"codebook", "use", "sums"}
    assert all(torch.equal(value, before[name]) for name, value in posterior.state_dict().items())


def test_vectors_that_are_not_finite_leave_a_finite_codebook():
    posterior = Quantized((4,), codes=5, code_dim=2)
    h = torch.randn(20, 4)
    h[3] = math.nan
    assert not posterior(h).mean[3].isfinite().any()
    assert all(value.isfinite().all() for value in posterior.state_dict().values())


def test_perplexity_is_the_number_of_codes_in_equal_use():
    posterior = Quantized((2,), codes=8, code_dim=2).eval()
    h = posterior.codebook[[0, 1, 2]].repeat(4, 1)
    assert posterior(h).figures["codebook_perplexity"].item() == pytest.approx(3)


def test_the_kl_of_codes_is_what_the_prior_says_of_them_and_trains_it_alone():
    posterior = Quantized((4,), codes=5, code_dim=2)
    h = torch.randn(6, 4, requires_grad=True)
    q, p = posterior(h), uniform_prior(posterior)()
    kl = q.kl_units(p)
    torch.testing.assert_close(kl, torch.full((6, 1), 2 * math.log(5)))
    assert not kl.requires_grad
    assert torch.equal(q.log_prob(q.sample(3)), torch.zeros(3, 6))


def test_the_uniform_prior_over_a_codebook_draws_all_of_its_sequences_alike():
    posterior = Quantized((4,), codes=3, code_dim=2)
    p = uniform_prior(posterior)()
    assert p.log_prob(torch.zeros(4)).exp().item() == pytest.approx(1 / 9)
    codes = posterior.indices_of(p.sample(4500)) @ torch.tensor([3, 1])
    assert stats.chisquare(torch.bincount(codes, minlength=9)).pvalue > 1e-3


def test_latents_that_do_not_divide_into_codes_are_refused_with_the_fix():
    with pytest.raises(UserError, match=r"latent_dim=21: .*posterior.code_dim=4: type latent_dim=24"):
        Quantized((21,), code_dim=4)


# categorical


def one_hots(variables: int, classes: int) -> torch.Tensor:
    chosen = torch.cartesian_prod(*[torch.arange(classes)] * variables)
    return F.one_hot(chosen, classes).flatten(1).float()


@pytest.mark.parametrize("shape", [(6,), (6, 2, 2)])
def test_the_kl_to_the_uniform_equals_torch_distributions(shape):
    posterior = Categorical(shape, classes=3)
    logits = 2 * torch.randn(4, *shape, dtype=torch.float64)
    expected = oracle.Categorical(logits=logits.unflatten(1, (2, 3)).movedim(2, -1))
    kl = oracle.kl_divergence(expected, oracle.Categorical(logits=torch.zeros_like(expected.logits)))
    torch.testing.assert_close(posterior(logits).kl_units(uniform_prior(posterior)()), kl.reshape(4, 2, -1).sum(2))


def test_against_a_prior_that_is_not_uniform_there_is_no_closed_form():
    assert Categorical((6,), classes=3)(torch.randn(2, 6)).kl_units(Normal((6,))()) is None
    assert Joint((6,), variables=1, classes=3)(torch.randn(2, 12)).kl_units(Normal((6,))()) is None


def test_the_mass_of_all_one_hots_is_one_and_that_of_torch_distributions():
    q = Categorical((6,), classes=3)(torch.randn(1, 6))
    z = one_hots(2, 3)
    log_prob = q.log_prob(z[:, None])[:, 0]
    assert log_prob.exp().sum().item() == pytest.approx(1)
    expected = oracle.Independent(oracle.OneHotCategorical(probs=q.mean.view(2, 3)), 1)
    torch.testing.assert_close(log_prob, expected.log_prob(z.view(-1, 2, 3)))


def test_outside_of_training_draws_are_one_hots_at_the_chances_of_the_classes():
    q = Categorical((6,), classes=3).eval()(torch.randn(1, 6))
    z = q.sample(6000)[:, 0]
    assert torch.equal(z.unique(), torch.tensor([0.0, 1.0]))
    for variable in range(2):
        counts = z[:, 3 * variable : 3 * variable + 3].sum(0)
        expected = 6000 * q.mean[0, 3 * variable : 3 * variable + 3]
        assert stats.chisquare(counts, expected * (6000 / expected.sum())).pvalue > 1e-3


def test_relaxed_draws_follow_the_concrete_distribution():
    # of Maddison et al. 2017; for two classes the logit of z is logistic around that of the chances, over temperature
    posterior = Categorical((2,), classes=2, temperature=0.7)
    z = posterior(torch.tensor([[0.9, -0.4]])).sample(5000)[:, 0].double()
    logit = 0.7 * (z[:, 0].log() - z[:, 1].log())
    assert stats.kstest(logit.numpy(), stats.logistic(1.3).cdf).pvalue > 1e-3
    torch.testing.assert_close(z.sum(1), torch.ones(5000, dtype=torch.float64))


def test_hard_draws_are_one_hots_with_the_gradient_of_the_relaxed():
    values = []
    for hard in (True, False):
        torch.manual_seed(1)
        logits = torch.linspace(-1, 1, 12).view(2, 6).requires_grad_()
        z = Categorical((6,), classes=3, hard=hard)(logits).sample()
        (z * torch.arange(6.0)).sum().backward()
        values.append((z.detach(), logits.grad))
    (hard, hard_gradient), (_, relaxed_gradient) = values
    assert ((hard - hard.round()).abs() < 1e-6).all()
    assert torch.equal(hard_gradient, relaxed_gradient)


def test_the_uniform_prior_draws_every_class_alike():
    p = uniform_prior(Categorical((6,), classes=3))()
    z = p.sample(3000)
    assert p.log_prob(z[0]).exp().item() == pytest.approx(1 / 9)
    assert torch.equal(z.view(-1, 2, 3).sum(2), torch.ones(3000, 2))
    assert stats.chisquare(z[:, :3].sum(0)).pvalue > 1e-3


def test_latents_that_do_not_divide_into_variables_are_refused_with_the_fix():
    with pytest.raises(UserError, match=r"latent_dim=21: .*posterior.classes=10: type latent_dim=30"):
        Categorical((21,), classes=10)


# joint


def test_a_joint_posterior_is_a_gaussian_and_a_categorical_side_by_side():
    posterior = Joint((7,), variables=2, classes=2).double()
    parameters = torch.randn(4, 14, dtype=torch.float64)
    q = posterior(parameters)
    gaussian = DiagonalGaussian(parameters[:, :3], parameters[:, 3:6])
    kinds = Categorical((4,), classes=2)(parameters[:, 6:10])
    z = q.sample(3)
    torch.testing.assert_close(q.log_prob(z), gaussian.log_prob(z[..., :3]) + kinds.log_prob(z[..., 3:]))
    expected = [gaussian.kl_units(Normal((3,))()), kinds.kl_units(uniform_prior(Categorical((4,), classes=2))())]
    torch.testing.assert_close(q.kl_units(uniform_prior(posterior)()), torch.cat(expected, 1))
    torch.testing.assert_close(q.mean, torch.cat([gaussian.mean, kinds.mean], 1))


def test_the_prior_of_a_joint_posterior_is_standard_normal_times_uniform():
    p = uniform_prior(Joint((5, 2), variables=1, classes=3))()
    z = p.sample(4000)
    assert stats.kstest(z[:, :2].flatten().numpy(), "norm").pvalue > 1e-3
    assert stats.chisquare(z[:, 2:, 0].sum(0)).pvalue > 1e-3
    expected = oracle.Normal(0.0, 1.0).log_prob(z[:, :2]).sum((1, 2)) - 2 * math.log(3)
    torch.testing.assert_close(p.log_prob(z), expected)


def test_the_temperature_narrows_the_gaussian_part_of_the_joint_prior():
    z = uniform_prior(Joint((5,), variables=1, classes=3))().sample(100, 0.0)
    assert torch.equal(z[:, :2], torch.zeros(100, 2))


def test_latents_without_a_gaussian_dimension_are_refused_with_the_fix():
    with pytest.raises(UserError, match=r"latent_dim=10: .*type latent_dim=20"):
        Joint((10,), variables=1, classes=10)
