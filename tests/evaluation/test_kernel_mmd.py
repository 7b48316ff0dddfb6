import itertools
import math

import numpy as np
import pytest
import torch

from vae_runner.errors import UserError
from vae_runner.evaluation.kernel_mmd import kernel_distance, polynomial_mmd


def draws(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def moments_of_gaussian(mean, deviation):
    """E x, E x^2, E x^3."""
    return np.array([mean, mean**2 + deviation**2, mean**3 + 3 * mean * deviation**2])


def test_one_dimension_is_the_distance_of_three_moments_of_gaussians():
    # (x y + 1)^3 = 1 + 3 x y + 3 x^2 y^2 + x^3 y^3
    apart = moments_of_gaussian(0.5, 1.2) - moments_of_gaussian(0, 1)
    expected = float(np.dot([3, 3, 1], apart**2))
    result = kernel_distance(0.5 + 1.2 * draws(20_000, 1), draws(20_000, 1, seed=1), blocks=20)
    assert result.blocks == 20
    assert result.standard_error < 0.15 * expected
    assert abs(result.mean - expected) < 3 * result.standard_error


def test_a_shift_of_standard_normals_in_several_dimensions():
    # the tensors of the moments of N(m, I): m, I + mm', and m x m x m with m_i where the other two indices agree
    d = 3
    shift = np.array([0.6, -0.3, 0.2])
    eye = np.eye(d)

    def tensors(m):
        second = eye + np.multiply.outer(m, m)
        third = np.multiply.outer(np.multiply.outer(m, m), m)
        for i, j, k in itertools.product(range(d), repeat=3):
            third[i, j, k] += m[i] * eye[j, k] + m[j] * eye[i, k] + m[k] * eye[i, j]
        return m, second, third

    apart = [np.sum((a - b) ** 2) for a, b in zip(tensors(shift), tensors(0 * shift), strict=True)]
    expected = float(3 * apart[0] / d + 3 * apart[1] / d**2 + apart[2] / d**3)
    result = kernel_distance(draws(20_000, d) + torch.from_numpy(shift), draws(20_000, d, seed=1))
    assert abs(result.mean - expected) < 3 * result.standard_error
    assert result.standard_error < 0.15 * expected


def test_two_points_each_by_hand():
    # D = 1: k(1, 2) = 27, k(0, -1) = 1, and between: k(1, 0) = 1, k(1, -1) = 0, k(2, 0) = 1, k(2, -1) = -1
    x, y = torch.tensor([[1.0], [2.0]]).double(), torch.tensor([[0.0], [-1.0]]).double()
    assert float(polynomial_mmd(x, y)) == pytest.approx(27 + 1 - 2 * 1 / 4)


def test_it_is_zero_on_average_for_one_distribution_and_the_error_is_honest():
    found = [kernel_distance(draws(200, 4, 2 * i), draws(300, 4, 2 * i + 1)) for i in range(150)]
    means = np.array([result.mean for result in found])
    errors = np.array([result.standard_error for result in found])
    assert abs(means.mean()) < 3 * means.std() / math.sqrt(150)
    assert (means < 0).any()
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(means.std(), rel=0.2)


def test_large_sets_are_summed_in_parts():
    x, y = draws(2500, 3), draws(2100, 3, seed=1) + 1
    whole = kernel_distance(x, y, blocks=1)
    assert whole.standard_error is None
    apart = [float(polynomial_mmd(x[i::2], y[j::2])) for i in (0, 1) for j in (0, 1)]
    assert whole.mean == pytest.approx(np.mean(apart), rel=0.05)


def test_blocks_are_drawn_from_the_seed_alone():
    x, y = draws(100, 3), draws(100, 3, seed=1)
    state = torch.random.get_rng_state()
    assert kernel_distance(x, y) == kernel_distance(x, y, seed=0)
    assert kernel_distance(x, y, seed=1).mean != kernel_distance(x, y).mean
    assert torch.equal(torch.random.get_rng_state(), state)


def test_examples_in_order_of_class_make_like_blocks():
    x = torch.cat([draws(500, 2), draws(500, 2) + 10])
    result = kernel_distance(x, x + 0.0)
    assert result.mean == pytest.approx(0, abs=4 * result.standard_error)


def test_constant_features():
    assert kernel_distance(torch.ones(40, 3), torch.ones(40, 3)).mean == pytest.approx(0, abs=1e-12)
    assert kernel_distance(torch.ones(40, 3), torch.ones(40, 3)).standard_error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("blocks", [0, 6])
def test_blocks_of_less_than_two_are_refused(blocks):
    with pytest.raises(UserError, match=f"blocks={blocks}: 11 examples make 1 to 5"):
        kernel_distance(draws(11, 2), draws(40, 2), blocks=blocks)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="features of the data: some values are NaN"):
        kernel_distance(draws(40, 2), torch.full((40, 2), math.inf))
