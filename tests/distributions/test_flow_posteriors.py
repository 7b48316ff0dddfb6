import pytest
import torch
from torch import distributions as oracle
from torch.autograd.functional import jacobian

from vae_runner.distributions.posteriors.gaussian import Gaussian
from vae_runner.distributions.posteriors.iaf import InverseAutoregressive, MaskedNetwork
from vae_runner.distributions.posteriors.planar import Planar
from vae_runner.distributions.priors.normal import Normal

FAMILIES = {
    "planar": lambda shape: Planar(shape, flows=3),
    "iaf": lambda shape: InverseAutoregressive(shape, flows=3, width=16),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


def q_of(family, latent_shape: tuple[int, ...], n: int, scale: float = 1.0):
    """In double precision, from random parameters, and with random weights where there are any."""
    posterior = family(latent_shape).double()
    for parameter in posterior.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    channels, *rest = latent_shape
    return posterior(scale * torch.randn(n, posterior.per_unit * channels, *rest, dtype=torch.float64))


@pytest.mark.parametrize("latent_shape", [(1,), (5,), (2, 2, 3)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_the_log_determinant_is_that_of_the_jacobian_by_autograd(family, latent_shape, scale):
    q = q_of(family, latent_shape, 1, scale)
    z = torch.randn(q.base.mean.shape[1], dtype=torch.float64)
    sign, expected = torch.linalg.slogdet(jacobian(lambda z: q.flow(z[None, None])[0][0, 0], z))
    assert sign == 1
    torch.testing.assert_close(q.flow(z[None, None])[1][0, 0], expected)


@pytest.mark.parametrize("latent_shape", [(4,), (2, 2, 2)])
def test_samples_carry_their_density_and_the_shape_of_the_latents(family, latent_shape):
    q = q_of(family, latent_shape, 3)
    torch.manual_seed(1)
    z = q.sample(5)
    torch.manual_seed(1)
    noise = q.base.sample(5)
    assert z.shape == (5, 3, *latent_shape)
    moved, log_determinant = q.flow(noise)
    assert torch.equal(z.flatten(2), moved)
    torch.testing.assert_close(q.log_prob(z), q.base.log_prob(noise) - log_determinant)


def test_the_density_of_samples_is_normalised(family):
    q = q_of(family, (2,), 1, scale=0.5)
    with torch.no_grad():
        z = q.sample(50_000)
        # the mean of r / q under q is one for any density r that q covers
        within = torch.distributions.Normal(z.mean(0), 0.4 * z.std(0))
        ratio = (within.log_prob(z).sum(-1) - q.log_prob(z)).exp()
    assert ratio.mean().item() == pytest.approx(1, abs=0.05)


def test_an_example_is_not_touched_by_the_others(family):
    posterior = family((3,))
    parameters = torch.randn(4, posterior.per_unit * 3)
    everyone = posterior(parameters).mean
    assert everyone.shape == (4, 3)
    torch.testing.assert_close(posterior(parameters[2:3]).mean[0], everyone[2])


def test_the_flow_itself_depends_on_the_example(family):
    posterior = family((3,))
    parameters = torch.randn(1, posterior.per_unit * 3).repeat(2, 1)
    parameters[1, 6:] += 1.0  # all but the mean and the variance to start from
    one, other = posterior(parameters).mean
    assert (one - other).abs().max() > 1e-3


def test_a_density_is_refused_where_it_is_not_known(family):
    q = q_of(family, (3,), 2)
    with pytest.raises(ValueError, match="drawn"):
        q.log_prob(torch.zeros(1, 2, 3))
    z = q.sample(1)
    with pytest.raises(ValueError, match="drawn"):
        q.log_prob(z.clone())


def test_there_is_no_closed_form_kl(family):
    assert q_of(family, (3,), 2).kl_units(Normal((3,))()) is None


def test_a_flow_comes_closer_to_a_bent_density_than_a_gaussian_does(family):
    def log_p(z):
        return oracle.Normal(0.0, 1.0).log_prob(z[..., 0]) + oracle.Normal(z[..., 0].square(), 0.3).log_prob(z[..., 1])

    def divergence(posterior) -> float:
        parameters = torch.nn.Parameter(0.1 * torch.randn(1, posterior.per_unit * 2))
        optimizer = torch.optim.Adam([parameters, *posterior.parameters()], lr=0.05)
        for _ in range(120):
            optimizer.zero_grad()
            q = posterior(parameters)
            z = q.sample(64)
            (q.log_prob(z) - log_p(z)).mean().backward()
            optimizer.step()
        with torch.no_grad():
            z = q.sample(2000)
            return (q.log_prob(z) - log_p(z)).mean().item()

    assert divergence(family((2,))) < 0.8 * divergence(Gaussian((2,)))


def test_small_planar_parameters_leave_the_gaussian_as_it_is():
    posterior = Planar((4,), flows=8)
    parameters = torch.cat([torch.randn(5, 8), 1e-3 * torch.randn(5, 96)], 1)
    torch.testing.assert_close(posterior(parameters).mean, parameters[:, :4], atol=1e-2, rtol=0)


@pytest.mark.parametrize("family", [lambda: Planar((3,)), lambda: InverseAutoregressive((3,))])
def test_densities_and_gradients_are_finite_at_extreme_parameters(family):
    posterior = family()
    extremes = torch.tensor([-1e4, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e4])
    parameters = extremes[torch.randint(7, (200, 3 * posterior.per_unit))].requires_grad_()
    q = posterior(parameters)
    z = q.sample(2)
    (q.log_prob(z) + z.sum(-1)).mean().backward()
    assert q.log_prob(z).isfinite().all()
    assert parameters.grad.isfinite().all()


def test_sampling_does_not_wait_for_the_device(family, no_waiting):
    posterior = family((3,))
    parameters = torch.randn(4, 3 * posterior.per_unit)
    with no_waiting():
        q = posterior(parameters)
        q.log_prob(q.sample(2))


def test_the_density_is_computed_in_float32_under_autocast(family):
    posterior = family((3,))
    with torch.autocast("cpu", torch.bfloat16):
        q = posterior(torch.randn(4, 3 * posterior.per_unit).bfloat16())
        z = q.sample()
        assert z.dtype is q.log_prob(z).dtype is torch.float32


@pytest.mark.parametrize(("size", "width"), [(1, 4), (4, 16), (4, 3), (7, 16)])
def test_an_output_of_a_masked_network_sees_the_inputs_before_it_and_the_context(size, width):
    network = MaskedNetwork(size, width).double()
    z, h = torch.randn(size, dtype=torch.float64), torch.randn(size, dtype=torch.float64)
    for output in range(2):
        of_inputs = jacobian(lambda z, output=output: network(z, h)[output], z)
        assert torch.equal(of_inputs, of_inputs.tril(-1))
        assert jacobian(lambda h, output=output: network(z, h)[output], h).any(1).all()
        if width > size:
            assert (of_inputs != 0).sum() == size * (size - 1) // 2
