"""What a training step relies on: gradients finite whatever a network says, float32 under autocast, no waiting."""

import pytest
import torch

from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.bernoulli import Bernoulli
from vae_runner.distributions.likelihoods.continuous_bernoulli import ContinuousBernoulli
from vae_runner.distributions.likelihoods.gaussian import Gaussian as GaussianLikelihood
from vae_runner.distributions.likelihoods.laplace import Laplace
from vae_runner.distributions.posteriors.delta import Delta
from vae_runner.distributions.posteriors.gaussian import Gaussian
from vae_runner.distributions.priors.mixture import Mixture
from vae_runner.distributions.priors.normal import Normal
from vae_runner.kl import KL, Constant, Cyclical, Linear

SPACE = Space((1, 4, 4), "unit")
LIKELIHOODS = {
    "bernoulli": lambda: Bernoulli(SPACE),
    "continuous_bernoulli": lambda: ContinuousBernoulli(SPACE),
    **{f"gaussian_{v}": lambda v=v: GaussianLikelihood(SPACE, variance=v) for v in ("fixed", "shared", "pixel")},
    **{f"laplace_{v}": lambda v=v: Laplace(SPACE, variance=v) for v in ("fixed", "shared", "pixel")},
}
PRIORS = {"normal": lambda: Normal((3,)), "mixture": lambda: Mixture((3,), components=4)}
EXTREMES = torch.tensor([-1e4, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e4])


@pytest.fixture(params=LIKELIHOODS)
def likelihood(request):
    return LIKELIHOODS[request.param]()


@pytest.fixture(params=PRIORS)
def prior(request):
    return PRIORS[request.param]()


def divergence(parameters: torch.Tensor, prior: torch.nn.Module) -> torch.Tensor:
    """The KL of a Gaussian posterior in every form a model uses: in closed form where there is one, and estimated."""
    q, p = Gaussian((3,))(parameters), prior()
    z = q.sample(2)
    closed = q.kl_units(p)
    return (q.log_prob(z) - p.log_prob(z)).mean() + (0 if closed is None else closed.mean())


def test_log_prob_and_its_gradients_are_finite_at_extreme_parameters(likelihood):
    chosen = torch.randint(len(EXTREMES), (200, *likelihood.parameter_shape))
    parameters = EXTREMES[chosen].requires_grad_()
    x = torch.rand(200, *SPACE.shape).round(decimals=1)
    log_prob = likelihood(parameters).log_prob(x)
    log_prob.mean().backward()
    assert log_prob.isfinite().all()
    assert parameters.grad.isfinite().all()


def test_means_and_samples_are_finite_at_extreme_parameters(likelihood):
    px = likelihood(EXTREMES[torch.randint(len(EXTREMES), (200, *likelihood.parameter_shape))])
    assert px.mean.isfinite().all()
    assert px.sample().isfinite().all()


def test_an_extreme_learned_scale_has_a_finite_gradient():
    likelihood = GaussianLikelihood(SPACE, variance="shared")
    for extreme in (-1e4, 1e4):
        torch.nn.init.constant_(likelihood.log_factor, extreme)
        likelihood.zero_grad()
        likelihood(torch.zeros(2, *SPACE.shape)).log_prob(torch.ones(2, *SPACE.shape)).sum().backward()
        assert likelihood.log_factor.grad.isfinite()


def test_the_kl_and_its_gradients_are_finite_at_extreme_parameters(prior):
    parameters = torch.cartesian_prod(*[EXTREMES[[0, 1, 3, 5, 6]]] * 2)[:, :, None].repeat(1, 1, 3).flatten(1)
    parameters.requires_grad_()
    kl = divergence(parameters, prior)
    kl.backward()
    assert kl.isfinite()
    assert parameters.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in prior.parameters())


@pytest.mark.parametrize("autocast", [True, False])
def test_a_likelihood_is_computed_in_float32_from_bfloat16_parameters(likelihood, autocast):
    parameters = torch.randn(8, *likelihood.parameter_shape).bfloat16()
    x = torch.rand(8, *SPACE.shape)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        px = likelihood(parameters)
        log_prob, mean = px.log_prob(x), px.mean
    expected = likelihood(parameters.float())
    assert log_prob.dtype is mean.dtype is torch.float32
    assert torch.equal(log_prob, expected.log_prob(x))
    assert torch.equal(mean, expected.mean)


def test_the_kl_is_computed_in_float32_under_autocast(prior):
    parameters = torch.randn(8, 6).bfloat16()
    kls = []
    for given, enabled in ((parameters, True), (parameters.float(), False)):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            kls.append(divergence(given, prior))
    assert kls[0].dtype is torch.float32
    assert torch.equal(kls[0], kls[1])


def test_codes_are_float32_under_autocast():
    assert Delta((3,))(torch.zeros(1, 3, dtype=torch.bfloat16)).sample().dtype is torch.float32


def test_the_guard_itself_notices_waiting(no_waiting):
    x = torch.ones(3)
    for waits in (lambda: x.sum().item(), lambda: x.nonzero(), lambda: x[x > 0], lambda: bool(x.sum() > 0)):
        with no_waiting(), pytest.raises(AssertionError):
            waits()


@pytest.mark.parametrize("masked", [False, True])
def test_a_likelihood_never_waits_for_the_device(likelihood, no_waiting, masked):
    parameters, x = torch.randn(4, *likelihood.parameter_shape, requires_grad=True), torch.rand(4, *SPACE.shape)
    with no_waiting():
        px = likelihood(parameters)
        px.log_prob(x, torch.ones(4, 1, 4, 4) if masked else None).mean().backward()
        px.mean, px.sample()


def test_a_posterior_and_a_prior_never_wait_for_the_device(prior, no_waiting):
    parameters = torch.randn(4, 6, requires_grad=True)
    with no_waiting():
        divergence(parameters, prior).backward()
        Delta((6,))(parameters).sample(2)
        prior().sample(5, 0.7)


@pytest.mark.parametrize("schedule", [Constant, Linear, Cyclical])
@pytest.mark.parametrize("settings", [{}, {"free_bits": 0.1}, {"capacity": 5.0}, {"weight": [1.0, 0.5]}])
def test_the_kl_term_never_waits_for_the_device(schedule: type[KL], settings, no_waiting):
    kl = schedule(10, 100, **settings)
    units = [torch.rand(4, 3, requires_grad=True), torch.rand(4, 2, requires_grad=True)]
    with no_waiting():
        kl.advance(7)
        kl(units).backward()
