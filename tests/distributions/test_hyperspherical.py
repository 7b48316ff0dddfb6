import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import integrate, special, stats

from vae_runner.distributions.posteriors.hyperspherical import Hyperspherical
from vae_runner.distributions.priors.normal import Normal
from vae_runner.distributions.von_mises_fisher import UniformOnSphere, VonMisesFisher
from vae_runner.errors import UserError

DIMENSIONS = [2, 3, 4, 11, 50]
KAPPAS = [0.5, 3.0, 40.0, 900.0]


def vmf(dimensions: int, kappa: float, dtype: torch.dtype = torch.float64) -> VonMisesFisher:
    mean = F.normalize(torch.randn(1, dimensions, dtype=dtype), dim=-1)
    return VonMisesFisher(mean, torch.tensor([kappa], dtype=dtype, requires_grad=True))


def uniform(dimensions: int) -> UniformOnSphere:
    return UniformOnSphere(torch.zeros(dimensions, dtype=torch.float64))


def on_the_axis(dimensions: int, kappa: float):
    """t = m . z has a density proportional to exp(kappa t) (1 - t^2)^((D - 3) / 2): means under it, by the angle."""

    def integral(f):
        def integrand(angle):
            return f(math.cos(angle)) * math.exp(kappa * (math.cos(angle) - 1)) * math.sin(angle) ** (dimensions - 2)

        peaks = [math.acos(1 / (1 + dimensions / kappa)), 3 / math.sqrt(kappa), 0.1]
        return integrate.quad(
            integrand, 0, math.pi, points=sorted(p for p in peaks if p < math.pi), epsabs=0, limit=500
        )

    total = integral(lambda t: 1.0)[0]
    return lambda f: integral(f)[0] / total


@pytest.mark.parametrize("dimensions", DIMENSIONS)
@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_density_and_the_kl_to_the_uniform_equal_those_of_scipy(dimensions, kappa):
    q = vmf(dimensions, kappa)
    expected = stats.vonmises_fisher(q.mean[0].numpy(), kappa)
    z = F.normalize(torch.randn(6, dimensions, dtype=torch.float64), dim=-1)
    assert q.log_prob(z[:, None])[:, 0].tolist() == pytest.approx(expected.logpdf(z.numpy()), rel=1e-8)
    area = 2 * math.pi ** (dimensions / 2) / special.gamma(dimensions / 2)
    assert q.kl_units(uniform(dimensions)).item() == pytest.approx(math.log(area) - expected.entropy(), rel=1e-7)


@pytest.mark.parametrize("dimensions", DIMENSIONS)
@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_kl_and_its_gradient_equal_numerical_integration(dimensions, kappa):
    q, mean = vmf(dimensions, kappa), on_the_axis(dimensions, kappa)
    kl = q.kl_units(uniform(dimensions)).sum()
    (gradient,) = torch.autograd.grad(kl, q.kappa)
    # dKL/dkappa = kappa Var(t), as of any exponential family against its base measure
    resultant = mean(lambda t: t)
    assert gradient.item() == pytest.approx(kappa * mean(lambda t: (t - resultant) ** 2), rel=1e-6)
    assert 1 - q.mean_gap.item() == pytest.approx(resultant, rel=1e-8)
    beta = special.beta(0.5, (dimensions - 1) / 2)
    log_expectation = math.log(
        integrate.quad(
            lambda a: math.exp(kappa * (math.cos(a) - 1)) * math.sin(a) ** (dimensions - 2),
            *(0, math.pi),
            points=[min(3 / math.sqrt(kappa), 3.0), min(10 / math.sqrt(kappa), 3.1)],
            epsabs=0,
        )[0]
        / beta
    )
    assert kl.item() == pytest.approx(kappa * (resultant - 1) - log_expectation, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("dimensions", DIMENSIONS)
@pytest.mark.parametrize("kappa", [1.0, 30.0, 1e3, 1e5])
def test_float32_keeps_the_digits_of_the_kl_and_of_its_gradient(dimensions, kappa):
    results = []
    for dtype in (torch.float32, torch.float64):
        q = vmf(dimensions, kappa, dtype)
        kl = q.kl_units(uniform(dimensions)).sum()
        results.append((kl.item(), torch.autograd.grad(kl, q.kappa)[0].item()))
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def test_the_gradient_of_the_kl_is_the_same_before_and_after_a_sample_is_drawn():
    gradients = []
    for drawn in (False, True):
        q = VonMisesFisher(F.normalize(torch.ones(1, 6), dim=-1), torch.tensor([7.0], requires_grad=True))
        if drawn:
            q.sample()
        gradients.append(torch.autograd.grad(q.kl_units(uniform(6)).sum(), q.kappa)[0].item())
    assert gradients[0] == gradients[1] > 0


def test_the_gradient_of_the_log_density_is_that_of_scipy_by_finite_differences():
    q = vmf(7, 5.0)
    z = F.normalize(torch.randn(1, 1, 7, dtype=torch.float64), dim=-1)
    (gradient,) = torch.autograd.grad(q.log_prob(z).sum(), q.kappa)
    high, low = (stats.vonmises_fisher(q.mean[0].numpy(), 5 + h).logpdf(z[0, 0].numpy()) for h in (1e-4, -1e-4))
    assert gradient.item() == pytest.approx((high - low) / 2e-4, rel=1e-6)


def test_the_density_integrates_to_one_on_the_circle_and_on_the_sphere():
    angle = torch.linspace(0, 2 * math.pi, 2001, dtype=torch.float64)[:-1]
    z = torch.stack([angle.cos(), angle.sin()], 1)
    assert vmf(2, 20.0).log_prob(z[:, None]).exp().mean().item() * 2 * math.pi == pytest.approx(1, rel=1e-9)
    roots, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(100))
    z = torch.cat([roots.view(-1, 1, 1).expand(-1, 2000, 1), (1 - roots**2).sqrt().view(-1, 1, 1) * z], 2)
    density = vmf(3, 20.0).log_prob(z.flatten(0, 1)[:, None]).exp().view(100, 2000)
    assert (weights * density.mean(1)).sum().item() * 2 * math.pi == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("dimensions", [2, 3, 20])
@pytest.mark.parametrize("kappa", [1.0, 50.0, 5000.0])
def test_samples_have_the_distribution_of_t(dimensions, kappa):
    q = vmf(dimensions, kappa)
    t = (q.sample(4000) * q.mean).sum(-1).detach()[:, 0].numpy()
    s = np.linspace(-20, 20, 200_001)
    log_density = kappa * (np.tanh(s) - 1) - (dimensions - 1) * np.logaddexp(s, -s)
    share = np.cumsum(np.exp(log_density - log_density.max()))
    assert stats.kstest(np.arctanh(t), lambda at: np.interp(at, s, share / share[-1])).pvalue > 1e-3


@pytest.mark.parametrize("dimensions", [2, 3, 20])
def test_samples_lie_on_the_sphere_around_the_direction(dimensions):
    q = vmf(dimensions, 10.0)
    z = q.sample(8_000)[:, 0].detach()
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(8_000, dtype=torch.float64))
    torch.testing.assert_close(z.mean(0), (1 - q.mean_gap.detach()) * q.mean[0], atol=0.02, rtol=0)
    # the covariance across the direction is the same in each of the other dimensions
    across = z - (z * q.mean).sum(-1, keepdim=True) * q.mean
    variance = (1 - (z * q.mean).sum(-1).square()).mean() / (dimensions - 1)
    projection = torch.eye(dimensions, dtype=torch.float64) - q.mean.T @ q.mean
    torch.testing.assert_close(across.T @ across / 8_000, variance * projection, atol=0.02, rtol=0)


def test_the_gradient_of_a_sample_is_that_of_its_quantile():
    # in three dimensions the quantile has a closed form: t = 1 + log(p + (1 - p) exp(-2 kappa)) / kappa
    for kappa in (0.5, 4.0, 80.0):
        q = vmf(3, kappa)
        for sample in q.sample(20)[:, 0]:
            t = (sample * q.mean[0]).sum()
            (gradient,) = torch.autograd.grad(t, q.kappa, retain_graph=True)
            level = (torch.expm1(q.kappa * (t + 1)) / torch.expm1(2 * q.kappa)).item()
            parameter = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
            quantile = 1 + (level + (1 - level) * (-2 * parameter).exp()).log() / parameter
            assert quantile.item() == pytest.approx(t.item())
            assert gradient.item() == pytest.approx(torch.autograd.grad(quantile, parameter)[0].item(), rel=1e-3)


def test_the_mean_gradient_of_samples_is_the_gradient_of_their_mean():
    for dimensions, kappa in ((2, 5.0), (12, 60.0)):
        q = vmf(dimensions, kappa)
        t = (q.sample(8_000) * q.mean).sum(-1).mean()
        pathwise, exact = (torch.autograd.grad(value, q.kappa)[0].item() for value in (t, 1 - q.mean_gap.sum()))
        assert pathwise == pytest.approx(exact, rel=0.05)


def test_samples_are_differentiable_in_the_direction():
    direction = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
    q = VonMisesFisher(F.normalize(direction, dim=-1), torch.tensor([10.0]))
    q.sample(5000)[..., 1].mean().backward()
    # turning the direction towards the second axis turns the mean, of length 1 - mean_gap
    torch.testing.assert_close(direction.grad[0], torch.tensor([0.0, 1 - q.mean_gap.item(), 0.0]), atol=0.03, rtol=0)


@pytest.mark.parametrize("latent_shape", [(5,), (2, 2, 3)])
def test_latents_of_any_shape_are_one_vector_of_length_one(latent_shape):
    channels, *rest = latent_shape
    posterior = Hyperspherical(latent_shape)
    q = posterior(torch.randn(4, 2 * channels, *rest))
    z = q.sample(3)
    assert z.shape == (3, 4, *latent_shape)
    torch.testing.assert_close(z.flatten(2).norm(dim=-1), torch.ones(3, 4))
    torch.testing.assert_close(q.mean.flatten(1).norm(dim=-1), torch.ones(4))
    assert q.log_prob(z).shape == (3, 4)
    assert q.kl_units(posterior.uniform()).shape == (4, 1)
    assert q.kl_units(Normal(latent_shape)()) is None


def test_examples_can_be_chosen_and_detached():
    q = Hyperspherical((4,))(torch.randn(5, 8, requires_grad=True))
    z = q.sample(2)
    assert torch.equal(q[1:3].log_prob(z[:, 1:3]), q.log_prob(z)[:, 1:3])
    assert torch.equal(q.detach().log_prob(z), q.log_prob(z))
    assert not q.detach().log_prob(z.detach()).requires_grad


def test_the_uniform_distribution_is_uniform():
    p = Hyperspherical((3,)).uniform()
    z = p.sample(8_000)
    assert z.shape == (8_000, 3)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(8_000))
    # on the ordinary sphere each coordinate is uniform on [-1, 1] (Archimedes)
    assert stats.kstest(z[:, 0].numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert p.log_prob(z.view(40, 200, 3)).shape == (40, 200)
    assert p.log_prob(z)[0].item() == pytest.approx(-math.log(4 * math.pi))


def test_everything_is_finite_at_extreme_parameters():
    extremes = torch.tensor([-1e4, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e4])
    parameters = extremes[torch.randint(7, (200, 6))].requires_grad_()
    q = Hyperspherical((3,))(parameters)
    kl = q.kl_units(UniformOnSphere(torch.zeros(3)))
    (kl.sum() + q.sample(2).sum()).backward()
    assert kl.isfinite().all()
    assert (kl >= 0).all()
    assert parameters.grad.isfinite().all()


def test_nothing_waits_for_the_device(no_waiting):
    parameters = torch.randn(4, 6, requires_grad=True)
    with no_waiting():
        q = Hyperspherical((3,))(parameters)
        (q.log_prob(q.sample(2)).sum() + q.kl_units(UniformOnSphere(torch.zeros(3))).sum()).backward()


def test_a_sphere_of_one_dimension_is_refused():
    with pytest.raises(UserError, match="latent_dim"):
        Hyperspherical((1,))
