import numpy as np
import pytest
import torch

from tests.objectives.playing import playing
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.objectives.ms_ssim import ms_ssim, window_for

EXPONENTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def similarity(x, y):
    return ms_ssim(x, y, window_for(x.shape[2:]).to(x))


def slow_ms_ssim(x, y, length, scales):
    """Of one grey image, window by window: the statistics are numpy's weighted means and covariances."""
    place = np.arange(length) - (length - 1) / 2
    line = np.exp(-(place**2) / (2 * (1.5 * length / 11) ** 2))
    weights = np.outer(line, line).ravel()
    result = 1.0
    for scale in range(scales):
        luminance, structure = [], []
        for i in range(x.shape[0] - length + 1):
            for j in range(x.shape[1] - length + 1):
                patches = [image[i : i + length, j : j + length].ravel() for image in (x, y)]
                a, b = (np.average(patch, weights=weights) for patch in patches)
                (v, c), (_, w) = np.cov(*patches, aweights=weights, ddof=0)
                luminance.append((2 * a * b + 1e-4) / (a * a + b * b + 1e-4))
                structure.append((2 * c + 9e-4) / (v + w + 9e-4))
        last = scale == scales - 1
        factor = np.mean(np.multiply(luminance, structure)) if last else np.mean(structure)
        result *= factor ** (EXPONENTS[scale] / sum(EXPONENTS[:scales]))
        if last:
            return result
        x, y = (image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2).mean((1, 3)) for image in (x, y))
    return None


@pytest.mark.parametrize(("size", "length", "scales"), [((8, 8), 3, 2), ((24, 32), 11, 2), ((44, 44), 11, 3)])
def test_it_equals_the_similarity_window_by_window(size, length, scales):
    x = torch.rand(1, 1, *size).double()
    y = (0.7 * x + 0.3 * torch.rand(1, 1, *size).double()).clamp(0, 1)
    expected = slow_ms_ssim(x[0, 0].numpy(), y[0, 0].numpy(), length, scales)
    assert similarity(x, y).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 17, 23), (1, 3, 2), (1, 1, 1), (1, 64, 48)])
def test_an_image_of_any_size_is_wholly_similar_to_itself_alone(shape):
    x = torch.rand(4, *shape)
    torch.testing.assert_close(similarity(x, x), torch.ones(4))
    assert similarity(x, 1 - x).mean() < 0.95


def test_more_noise_is_less_similar():
    x = torch.rand(1, 1, 28, 28)
    noise = torch.randn_like(x)
    falling = [similarity(x, x + level * noise).item() for level in (0, 0.05, 0.1, 0.2, 0.4)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.8


def test_it_is_the_mean_over_channels():
    x, y = torch.rand(2, 5, 3, 16, 16)
    each = [similarity(x[:, c : c + 1], y[:, c : c + 1]) for c in range(3)]
    torch.testing.assert_close(similarity(x, y), torch.stack(each).mean(0))


def test_of_more_than_five_scales_five_count():
    x, y = torch.rand(2, 1, 1, 400, 400)
    by_five = similarity(x, y)
    assert by_five.isfinite()
    assert not torch.allclose(by_five, similarity(x[..., :160, :160], y[..., :160, :160]))


def test_images_that_are_opposite_still_have_a_gradient():
    x = torch.rand(2, 1, 16, 16)
    for y in (1 - x, torch.full_like(x, 0.5)):
        y = y.requires_grad_()
        (gradient,) = torch.autograd.grad(similarity(x, y).sum(), y)
        assert gradient.isfinite().all()


def test_the_loss_counts_pixels_beside_the_kl():
    game = playing("variant=ms_ssim_vae", "objective.weight=2")
    losses, evidence = game.losses()
    expected = 2 * 64 * (1 - similarity(evidence.x, evidence.px.mean.double()).mean().item())
    assert losses["model"]["reconstruction"].item() == pytest.approx(expected, rel=1e-5)
    assert losses["model"]["kl"].item() == pytest.approx(evidence.kl.mean().item())


def test_what_does_not_count_is_not_judged():
    game = playing("variant=ms_ssim_vae")
    game.batch.mask = torch.zeros(6, 1, 8, 8)
    losses, _ = game.losses()
    assert losses["model"]["reconstruction"].item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("space", [Space((12,), "unit"), Space((1, 8, 8), "real"), Space((5, 2), "unit")], ids=str)
def test_what_is_no_image_between_0_and_1_is_refused(space):
    likelihood = "likelihood=gaussian" if space.support == "real" else "likelihood=bernoulli"
    with pytest.raises(UserError, match=r"images with values in \[0, 1\]"):
        playing("variant=ms_ssim_vae", likelihood, space=space)
