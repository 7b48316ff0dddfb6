import math

import pytest
import torch
import torch.nn.functional as F

from tests.evaluation.spread import against_spread, seeded
from vae_runner.errors import UserError
from vae_runner.evaluation.sharpness import laplacian_variance, sharpness_ratio


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_point_on_a_plane_by_hand():
    # -4 h at the point and h at its four neighbours: squares 20 h^2, mean 0
    x = torch.zeros(1, 1, 6, 5)
    x[0, 0, 2, 2] = 0.5
    assert laplacian_variance(x).tolist() == [pytest.approx(20 * 0.25 / 30)]


def test_a_point_in_the_smallest_image_s_corner_by_hand():
    # two of the four neighbours are the point itself: -2 there and 1 at the two others
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 0, 0] = 1
    assert laplacian_variance(x).tolist() == [pytest.approx(6 / 9)]


@pytest.mark.parametrize("size", [(3, 3), (3, 7), (32, 20)])
def test_a_slope_bends_at_the_border_alone(size):
    x = 0.1 * torch.arange(size[1]).double().expand(2, 3, *size)
    torch.testing.assert_close(laplacian_variance(x), torch.full((2,), 2 * 0.01 / size[1]).double())


def test_constant_images_have_none():
    assert laplacian_variance(torch.full((2, 3, 4, 4), 0.7)).tolist() == pytest.approx([0, 0])
    assert sharpness_ratio(noise(2, 1, 4, 4), torch.ones(3, 1, 4, 4)) is None
    assert sharpness_ratio(torch.ones(3, 1, 4, 4), noise(2, 1, 4, 4)).ratio == pytest.approx(0)


def test_independent_pixels_have_twenty_times_their_variance():
    # 16 + 4 squares of independent values; at the border a little less
    assert float(laplacian_variance(0.3 * noise(50, 1, 100, 100)).mean()) == pytest.approx(20 * 0.09, rel=0.02)


def test_channels_are_averaged_and_turns_do_not_matter():
    x = noise(5, 3, 9, 9)
    each = torch.stack([laplacian_variance(x[:, i : i + 1]) for i in range(3)])
    torch.testing.assert_close(laplacian_variance(x), each.mean(0))
    torch.testing.assert_close(laplacian_variance(x), laplacian_variance(x.rot90(1, (2, 3))))


def test_more_blur_is_less_sharp_and_noise_is_sharper():
    data = noise(20, 1, 28, 28).cumsum(2).cumsum(3)
    blurred = data
    ratios = [sharpness_ratio(data, data).ratio]
    for _ in range(3):
        blurred = F.avg_pool2d(F.pad(blurred, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        ratios.append(sharpness_ratio(blurred, data).ratio)
    assert ratios[0] == 1
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[1] < 0.5
    assert sharpness_ratio(data + noise(20, 1, 28, 28, seed=1), data).ratio > 1


def test_more_images_than_a_block():
    x = noise(1203, 1, 3, 3)
    torch.testing.assert_close(laplacian_variance(x)[1000:], laplacian_variance(x[1000:]))


@pytest.mark.parametrize("x", [torch.zeros(2, 1, 2, 5), torch.zeros(3, 4, 4), torch.zeros(0, 1, 4, 4)])
def test_what_is_no_image_is_refused(x):
    with pytest.raises(UserError, match="sides of at least 3"):
        laplacian_variance(x)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="NaN"):
        laplacian_variance(torch.full((1, 1, 4, 4), math.nan))


def test_the_error_of_the_ratio_is_its_spread_over_images():
    def draw(seed):
        generator = seeded(seed)
        contrasts = 0.5 + torch.rand(180, 1, 1, 1, generator=generator)
        images = contrasts * torch.randn(180, 1, 4, 4, generator=generator)
        return 0.6 * images[:60], images[60:]

    def figures(pair):
        found = sharpness_ratio(*pair)
        return found.ratio, found.standard_error

    assert against_spread(draw, figures, sets=300) == pytest.approx(1, abs=0.12)
