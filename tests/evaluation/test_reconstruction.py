import math

import pytest
import torch

from vae_runner.errors import UserError
from vae_runner.evaluation.reconstruction import mse, psnr, ssim
from vae_runner.objectives.ms_ssim import ms_ssim, window_for

SIZES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 17, 23), (1, 3, 2), (1, 1, 1)]


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_errors_by_hand():
    x = torch.tensor([[0.0, 1.0, 0.5], [0.0, 0.0, 0.0]])
    y = torch.tensor([[0.5, 1.0, 1.0], [0.1, 0.1, 0.1]])
    assert mse(x, y).tolist() == pytest.approx([0.5 / 3, 0.01])
    # a tenth of the range off is 20 dB, and ten times less 40
    assert psnr(x, y)[1] == pytest.approx(20, abs=1e-5)
    assert psnr(x[1:], 0.1 * y[1:]).tolist() == [pytest.approx(40, abs=1e-5)]


def test_psnr_of_equal_images_is_infinite():
    assert psnr(images(2, 1, 4, 4), images(2, 1, 4, 4)).tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("shape", SIZES)
def test_an_image_is_wholly_similar_to_itself_alone(shape):
    x = images(4, *shape)
    torch.testing.assert_close(ssim(x, x), torch.ones(4).double())
    assert ssim(x, 1 - x).mean() < 0.95


@pytest.mark.parametrize("size", [(3, 3), (8, 8), (28, 28)])
def test_constant_images_differ_by_their_luminance(size):
    # 0.5 beside 0.25: (2 0.5 0.25 + 0.0001) / (0.25 + 0.0625 + 0.0001) = 0.2501 / 0.3126; black beside white: 1 / 10001
    x = torch.tensor([0.5, 1.0, 0.0])[:, None, None, None].expand(3, 1, *size)
    y = torch.tensor([0.25, 0.0, 0.0])[:, None, None, None].expand(3, 1, *size)
    assert ssim(x, y).tolist() == pytest.approx([0.2501 / 0.3126, 1 / 10001, 1], rel=1e-9)


def test_opposite_stripes_have_negative_structure():
    # columns 0 1 0 1 ... and their opposite: under a wide window both means are 1/2, variances 1/4, the covariance -1/4
    x = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    assert float(ssim(x, 1 - x)) == pytest.approx((-0.5 + 0.0009) / (0.5 + 0.0009), abs=1e-3)


@pytest.mark.parametrize("size", [(3, 3), (4, 5), (5, 5)])
def test_where_only_one_scale_fits_it_is_the_multi_scale_one(size):
    x = images(6, 2, *size)
    y = (0.9 * x + 0.1 * images(6, 2, *size, seed=1)).clamp(0, 1)
    torch.testing.assert_close(ssim(x, y), ms_ssim(x, y, window_for(size).double()))


def test_it_is_the_mean_over_channels_and_the_same_both_ways():
    x, y = images(5, 3, 16, 16), images(5, 3, 16, 16, seed=1)
    each = torch.stack([ssim(x[:, i : i + 1], y[:, i : i + 1]) for i in range(3)])
    torch.testing.assert_close(ssim(x, y), each.mean(0))
    torch.testing.assert_close(ssim(x, y), ssim(y, x))


def test_more_noise_is_less_similar():
    x = images(1, 1, 28, 28)
    noise = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    falling = [float(ssim(x, x + level * noise)) for level in (0, 0.05, 0.1, 0.2, 0.4)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.8


def test_more_images_than_a_block():
    x, y = images(300, 1, 64, 64), images(300, 1, 64, 64, seed=1)
    torch.testing.assert_close(ssim(x, y)[250:], ssim(x[250:], y[250:]))


@pytest.mark.parametrize("figure", [psnr, ssim])
def test_images_outside_of_0_to_1_are_refused_and_reconstructions_are_not(figure):
    x = images(2, 1, 4, 4)
    assert figure(x, x + 0.5).isfinite().all()
    with pytest.raises(UserError, match=r"must lie in \[0, 1\], and reach from 2 to 2"):
        figure(torch.full((2, 1, 4, 4), 2.0), x)


@pytest.mark.parametrize("figure", [mse, psnr, ssim])
def test_what_does_not_compare_is_refused(figure):
    x = images(2, 1, 4, 4)
    with pytest.raises(UserError, match="differ"):
        figure(x, images(2, 1, 4, 5))
    with pytest.raises(UserError, match="NaN"):
        figure(x, torch.full_like(x, math.nan))


def test_what_is_no_image_is_refused():
    with pytest.raises(UserError, match="images"):
        ssim(images(2, 5), images(2, 5))
