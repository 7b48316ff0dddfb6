import pytest
import torch
from torch import distributions as oracle
from torch.autograd.functional import jacobian

from tests.distributions.quadrature import plane
from vae_runner.distributions.priors.flow import Coupling, Flow
from vae_runner.errors import UserError


def random_flow(latent_shape: tuple[int, ...], context: tuple[int, ...] = (), scale: float = 0.3) -> Flow:
    prior = Flow(latent_shape, context, flows=4, width=16).double()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    return prior


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("context", [None, torch.randn(4, dtype=torch.float64)])
def test_a_coupling_inverts_and_knows_its_jacobian(size, context):
    coupling = Coupling(torch.randperm(size), 0 if context is None else 4, width=16).double()
    for parameter in coupling.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(size, dtype=torch.float64)
    y, log_determinant = coupling(x, context)
    torch.testing.assert_close(coupling.inverse(y, context), x)
    expected = torch.linalg.slogdet(jacobian(lambda x: coupling(x, context)[0], x)).logabsdet
    torch.testing.assert_close(log_determinant, expected)


def test_the_density_of_a_flow_integrates_to_one_in_two_dimensions():
    z, weights = plane([[-40.0, -8.0, 0.0, 8.0, 40.0]] * 2, nodes=150)
    density = random_flow((2,))().log_prob(z).exp()
    assert (density * weights).sum().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("latent_shape", [(5,), (2, 2, 2)])
@pytest.mark.parametrize("context", [None, torch.randn(7, 3, dtype=torch.float64)])
def test_samples_are_noise_taken_back_through_the_flow(latent_shape, context):
    prior = random_flow(latent_shape, () if context is None else (3,))
    torch.manual_seed(1)
    z = prior.sample(7, context, temperature=0.5)
    assert z.shape == (7, *latent_shape)
    torch.manual_seed(1)
    noise = 0.5 * torch.randn(1, 7, z[0].numel(), dtype=torch.float64)[0]
    inner = z.flatten(1)
    total = torch.zeros(7, dtype=torch.float64)
    for coupling in prior.couplings:
        inner, log_determinant = coupling(inner, context)
        total += log_determinant
    torch.testing.assert_close(inner, noise)
    torch.testing.assert_close(prior(context).log_prob(z), oracle.Normal(0.0, 1.0).log_prob(noise).sum(1) + total)


def test_all_dimensions_are_moved():
    prior = random_flow((7,))
    z = torch.randn(7, dtype=torch.float64)
    moved = jacobian(lambda z: prior().log_prob(z), z)
    identity = -z
    assert ((moved - identity).abs() > 1e-6).all()


def test_a_new_flow_is_the_standard_normal():
    z = torch.randn(4, 2, 5)
    expected = oracle.Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(Flow((5,))().log_prob(z), expected)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)])
def test_each_example_has_the_density_of_its_own_context(shape):
    prior = random_flow((4,), shape)
    context, z = torch.randn(6, *shape, dtype=torch.float64), torch.randn(3, 6, 4, dtype=torch.float64)
    together = prior(context).log_prob(z)
    assert together.shape == (3, 6)
    for b in range(6):
        torch.testing.assert_close(prior(context[b : b + 1]).log_prob(z[:, b : b + 1])[:, 0], together[:, b])
    assert (prior(context.flip(0)).log_prob(z) - together).abs().min() > 1e-9


def test_a_flow_learns_a_density_that_no_gaussian_has():
    first = torch.randn(300)
    z = torch.stack([first, first.square() + 0.2 * torch.randn(300)], 1)
    prior = Flow((2,), flows=4, width=16)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        (-prior().log_prob(z).mean()).backward()
        optimizer.step()
    gaussian = oracle.MultivariateNormal(z.mean(0), z.T.cov()).log_prob(z).mean()
    truth = (oracle.Normal(0.0, 1.0).log_prob(first) + oracle.Normal(first.square(), 0.2).log_prob(z[:, 1])).mean()
    assert prior().log_prob(z).mean() > gaussian + 0.7 * (truth - gaussian)


def test_one_dimension_is_refused():
    with pytest.raises(UserError, match="latent_dim"):
        Flow((1,))


def test_nothing_waits_for_the_device(no_waiting):
    prior = random_flow((5,), (3,))
    context = torch.randn(6, 3, dtype=torch.float64)
    with no_waiting():
        prior(context).log_prob(prior.sample(6, context)[None])


def test_the_density_is_finite_far_from_everything_and_float32_under_autocast():
    prior = random_flow((5,)).float()
    z = torch.full((1, 5), 1e4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        log_prob = prior().log_prob(z)
    log_prob.backward()
    assert log_prob.dtype is torch.float32
    assert log_prob.isfinite().all()
    assert z.grad.isfinite().all()
