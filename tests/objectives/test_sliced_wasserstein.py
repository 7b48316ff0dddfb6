import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from tests.objectives.playing import playing
from vae_runner.objectives.sliced_wasserstein import sliced_wasserstein


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_in_one_dimension_it_is_the_wasserstein_distance():
    x, y = torch.randn(40, 1).double(), 2 * torch.rand(40, 1).double() + 1
    expected = wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert float(sliced_wasserstein(x, y, 3, power=1)) == pytest.approx(expected, rel=1e-9)


def test_the_squared_distance_is_the_cost_of_the_cheapest_pairing():
    x, y = torch.randn(30, 1).double(), torch.randn(30, 1).double() * 2 + 1
    costs = (x - y.T).square().numpy()
    cheapest = costs[linear_sum_assignment(costs)].mean()
    assert float(sliced_wasserstein(x, y, 1, power=2)) == pytest.approx(cheapest, rel=1e-9)


def test_of_a_shifted_sample_it_is_the_mean_square_of_the_projected_shift():
    """E (theta . m)^2 = |m|^2 / D for theta uniform on the sphere."""
    x, shift = torch.randn(10, 5).double(), torch.tensor([3.0, 0.0, -1.0, 2.0, 0.5]).double()
    expected = float(shift.square().sum()) / 5
    assert float(sliced_wasserstein(x, x + shift, 20_000, power=2)) == pytest.approx(expected, rel=0.03)


def test_the_order_of_examples_does_not_matter():
    x = torch.randn(20, 4)
    assert float(sliced_wasserstein(x, x[torch.randperm(20)], 10, power=2)) == pytest.approx(0, abs=1e-12)


def test_following_its_gradient_moves_codes_to_the_prior():
    x = 4 + 0.1 * torch.randn(200, 2)
    for _ in range(100):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(sliced_wasserstein(x, torch.randn(200, 2), 10, power=2), x)
        x = x.detach() - 0.2 * len(x) * gradient
    np.testing.assert_allclose(x.mean(0), 0, atol=0.15)
    np.testing.assert_allclose(x.std(0), 1, atol=0.15)


def test_the_loss_weighs_it_against_the_reconstruction():
    game = playing("variant=swae", "objective.weight=7")
    losses, _ = game.losses()
    assert losses["model"].keys() == {"reconstruction", "divergence"}
    light, _ = playing("variant=swae", "objective.weight=1").losses()
    assert losses["model"]["divergence"].item() == pytest.approx(7 * light["model"]["divergence"].item())
