import math

import numpy as np
import pytest
import scipy.linalg
import torch

from vae_runner.errors import UserError
from vae_runner.evaluation.frechet import Gaussian, frechet_distance, gaussian_of, squared_distance


def gaussian(mean, covariance):
    covariance = torch.tensor(covariance, dtype=torch.double)
    return Gaussian(torch.tensor(mean, dtype=torch.double), torch.linalg.cholesky(covariance).T)


def draws(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_one_dimension_is_the_distance_of_means_and_of_deviations():
    assert squared_distance(gaussian([1.0], [[4.0]]), gaussian([-2.0], [[25.0]])) == pytest.approx(9 + 9)


def test_covariances_that_do_not_commute():
    # in two dimensions tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det A det B)) = sqrt(10 + 2 sqrt 12)
    x, y = gaussian([0.0, 0.0], [[2.0, 1.0], [1.0, 2.0]]), gaussian([3.0, 4.0], [[1.0, 0.0], [0.0, 4.0]])
    assert squared_distance(x, y) == pytest.approx(25 + 9 - 2 * math.sqrt(10 + 2 * math.sqrt(12)), rel=1e-12)


def test_it_equals_the_matrix_root_s():
    x, y = draws(40, 6), draws(50, 6, seed=1) @ draws(6, 6, seed=2) + 1
    a, b = (np.cov(part.numpy(), rowvar=False) for part in (x, y))
    root = scipy.linalg.sqrtm(a @ b).real
    expected = np.sum((x.mean(0) - y.mean(0)).numpy() ** 2) + np.trace(a + b - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(100, 8), (5, 50), (2, 3), (30, 30)])
def test_a_set_is_at_zero_from_itself_whatever_its_rank(shape):
    x = draws(*shape)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("shape", [(100, 8), (5, 50)])
def test_a_shift_counts_squared_and_a_stretch_by_the_deviations(shape):
    x = draws(*shape)
    x = x - x.mean(0)
    assert frechet_distance(x, x + 2) == pytest.approx(4 * shape[1], rel=1e-9)
    total_variance = float(x.var(0).sum())
    assert frechet_distance(x, 3 * x) == pytest.approx(4 * total_variance, rel=1e-9)


def test_directions_at_right_angles_share_nothing():
    x, y = torch.zeros(2, 10, 4)
    x[:, 0], y[:, 1] = torch.arange(10), 2 * torch.arange(10)
    # variances 55/6 and 4 times that, means 4.5 and 9 along two axes
    assert frechet_distance(x, y) == pytest.approx(4.5**2 + 9**2 + 5 * 55 / 6, rel=1e-6)


def test_constant_features_are_apart_by_their_means():
    assert frechet_distance(torch.zeros(10, 3), torch.full((7, 3), 2.0)) == pytest.approx(12)


def test_it_is_symmetric_and_turns_with_the_space():
    x, y = draws(60, 5), 2 * draws(40, 5, seed=1) + 1
    turn = torch.linalg.qr(draws(5, 5, seed=2)).Q
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-10)
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y), rel=1e-10)
    assert frechet_distance(x + 1e6, y + 1e6) == pytest.approx(frechet_distance(x, y), rel=1e-6)


def test_sets_of_one_gaussian_are_apart_by_the_stated_bias():
    n, d, variance = 1000, 6, 4.0
    found = [frechet_distance(2 * draws(n, d, 2 * i), 2 * draws(n, d, 2 * i + 1)) for i in range(60)]
    expected = variance * (2 * d + d * (d + 1) / 2) / n
    assert np.mean(found) == pytest.approx(expected, rel=0.08)


def test_what_is_kept_of_the_data_is_no_larger_than_its_dimensions():
    assert gaussian_of(draws(500, 4)).factor.shape == (4, 4)
    assert gaussian_of(draws(3, 40).float()).factor.dtype == torch.double


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), "1 examples, and at least 2"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "3 dimensions.*4: they cannot"),
        (torch.full((5, 3), math.nan), torch.zeros(5, 3), "NaN"),
        (torch.zeros(5), torch.zeros(5), "rows of a matrix"),
    ],
)
def test_what_has_no_distance_is_refused(x, y, message):
    with pytest.raises(UserError, match=message):
        frechet_distance(x, y)


def test_gaussians_of_other_dimensions_are_refused():
    with pytest.raises(UserError, match="of 3 and of 4"):
        squared_distance(gaussian_of(draws(5, 3)), gaussian_of(draws(5, 4)))
