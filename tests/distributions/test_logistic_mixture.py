import itertools

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.logistic_mixture import LogisticMixtures
from vae_runner.errors import UserError

GREY, PAIR, COLOUR = Space((1, 1, 1), "unit"), Space((2, 1, 1), "unit"), Space((3, 1, 1), "unit")


def grid(levels: int, channels: int = 1) -> torch.Tensor:
    """All pixels there are, (levels ** channels, channels, 1, 1)."""
    values = torch.cartesian_prod(*[torch.arange(levels) / (levels - 1)] * channels)
    return values.reshape(-1, channels, 1, 1)


def masses(space: Space, parameters: torch.Tensor, levels: int, components: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = grid(levels, space.shape[0]).to(parameters.dtype)
    likelihood = LogisticMixtures(space, components=components, levels=levels)
    return x, likelihood(parameters.expand(len(x), *parameters.shape[1:])).log_prob(x).exp()


def random_parameters(space: Space, components: int, spread: float = 1.0) -> torch.Tensor:
    shape = LogisticMixtures(space, components=components).parameter_shape
    return spread * torch.randn(1, *shape, dtype=torch.float64)


@pytest.mark.parametrize("spread", [1.0, 5.0, 50.0])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_masses_of_all_levels_sum_to_one(levels, spread):
    _, mass = masses(GREY, random_parameters(GREY, 4, spread), levels, 4)
    assert mass.sum().item() == pytest.approx(1, abs=1e-9)


def test_the_masses_of_all_colours_sum_to_one():
    _, mass = masses(COLOUR, random_parameters(COLOUR, 2), 9, 2)
    assert mass.sum().item() == pytest.approx(1, abs=1e-9)


def test_float32_sums_to_one_over_256_levels():
    _, mass = masses(GREY, random_parameters(GREY, 5, 3.0).float(), 256, 5)
    assert mass.sum().item() == pytest.approx(1, abs=1e-5)


def test_the_mass_of_a_level_is_the_integral_of_the_mixture_around_it():
    levels = 17
    parameters = random_parameters(GREY, 3)
    weights, means, log_scales = parameters.view(3, 3).T.numpy()
    shares = np.exp(weights) / np.exp(weights).sum()

    def density(at: float) -> float:
        return float(
            sum(w * stats.logistic(m, np.exp(s)).pdf(at) for w, m, s in zip(shares, means, log_scales, strict=True))
        )

    _, mass = masses(GREY, parameters, levels, 3)
    for level in range(levels):
        low = -np.inf if level == 0 else (2 * level - 1) / (levels - 1) - 1
        high = np.inf if level == levels - 1 else (2 * level + 1) / (levels - 1) - 1
        assert mass[level].item() == pytest.approx(integrate.quad(density, low, high)[0], rel=1e-6)


def test_far_in_the_tails_the_mass_keeps_its_digits():
    # one narrow component near the lowest level: mass ~ exp(-distance / scale), far below what a difference can hold
    parameters = torch.tensor([0.0, -1.0, -3.0], dtype=torch.float64).view(1, 3, 1, 1)
    px = LogisticMixtures(GREY, components=1)
    x = torch.tensor([[[[100 / 255]]], [[[200 / 255]]]], dtype=torch.float64)
    at = px(parameters.expand(2, 3, 1, 1).double()).log_prob(x)
    scale = np.exp(-3.0)
    assert (at[0] - at[1]).item() == pytest.approx(200 / 255 / scale, rel=1e-3)
    float32 = px(parameters.expand(2, 3, 1, 1).float()).log_prob(x.float())
    torch.testing.assert_close(float32.double(), at, rtol=1e-4, atol=0)


def test_a_colour_shifts_the_means_of_those_after_it():
    # one component; the second colour follows the first: mean = 0.2 + tanh(0.5) x_first
    parameters = torch.tensor([0.0, 0.1, 0.2, -1.0, -2.0, 0.5], dtype=torch.float64).view(1, 6, 1, 1)
    levels = 9
    x, mass = masses(PAIR, parameters, levels, 1)
    shifted = np.tanh(0.5) * (2 * x[:, 0, 0, 0].numpy() - 1) + 0.2
    alone = [
        masses(GREY, torch.tensor([0.0, mean, scale], dtype=torch.float64).view(1, 3, 1, 1), levels, 1)[1]
        for mean, scale in [(0.1, -1.0), *((mean, -2.0) for mean in shifted)]
    ]
    for pixel, (first, second) in enumerate(itertools.product(range(levels), repeat=2)):
        assert mass[pixel].item() == pytest.approx((alone[0][first] * alone[pixel + 1][second]).item(), rel=1e-9)


def test_values_between_levels_count_as_the_nearest():
    likelihood = LogisticMixtures(GREY, components=2, levels=17)
    px = likelihood(random_parameters(GREY, 2).expand(2, -1, 1, 1))
    near, exact = px.log_prob(torch.tensor([5.3 / 16, 5 / 16]).double().view(2, 1, 1, 1))
    assert near == exact


@pytest.mark.parametrize("space", [GREY, PAIR])
def test_samples_come_at_the_masses_of_their_levels(space):
    levels, count = 5, 20_000
    parameters = random_parameters(space, 2)
    x, mass = masses(space, parameters, levels, 2)
    px = LogisticMixtures(space, components=2, levels=levels)(parameters.expand(count, -1, 1, 1))
    drawn = (px.sample() * (levels - 1)).flatten(1)
    torch.testing.assert_close(drawn, drawn.round())
    place = drawn.round().long() @ levels ** torch.arange(space.shape[0] - 1, -1, -1)
    expected = mass * (count / mass.sum())
    enough = expected > 5
    observed = torch.bincount(place, minlength=len(x)).double()
    rest = (observed[~enough].sum(), expected[~enough].sum())
    observed, expected = (
        torch.cat([observed[enough], rest[0][None]]),
        torch.cat([expected[enough], rest[1][None] + 1e-9]),
    )
    assert stats.chisquare(observed, expected * (observed.sum() / expected.sum())).pvalue > 1e-3


@pytest.mark.parametrize("levels", [17, 256])
def test_the_mean_is_that_of_the_masses_to_within_half_a_level(levels):
    for _ in range(20):
        parameters = random_parameters(GREY, 3, 2.0)
        x, mass = masses(GREY, parameters, levels, 3)
        mean = LogisticMixtures(GREY, components=3, levels=levels)(parameters).mean
        assert mean.item() == pytest.approx((mass @ x.flatten()).item(), abs=0.5 / (levels - 1))


def test_what_a_mask_hides_does_not_count():
    space = Space((2, 3, 4), "unit")
    likelihood, row = LogisticMixtures(space), LogisticMixtures(Space((2, 1, 4), "unit"))
    parameters, x = torch.randn(5, *likelihood.parameter_shape), torch.rand(5, 2, 3, 4)
    mask = torch.zeros(5, 1, 3, 1)
    mask[:, :, 1] = 1
    visible = row(parameters[:, :, 1:2]).log_prob(x[:, :, 1:2])
    torch.testing.assert_close(likelihood(parameters).log_prob(x, mask), visible)


def test_the_last_colour_hidden_leaves_the_marginal_of_the_others():
    levels = 5
    parameters = random_parameters(PAIR, 2)
    x, mass = masses(PAIR, parameters, levels, 2)
    px = LogisticMixtures(PAIR, components=2, levels=levels)(parameters.expand(len(x), -1, 1, 1))
    first = px.log_prob(x.double(), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)).exp()
    torch.testing.assert_close(first, mass.view(levels, levels).sum(1).repeat_interleave(levels))


@pytest.mark.parametrize("space", [GREY, COLOUR])
def test_everything_is_finite_at_extreme_parameters_and_nothing_waits(space, no_waiting):
    extremes = torch.tensor([-1e4, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e4])
    likelihood = LogisticMixtures(space, components=3)
    parameters = extremes[torch.randint(7, (200, *likelihood.parameter_shape))].requires_grad_()
    x = torch.rand(200, *space.shape)
    with no_waiting():
        px = likelihood(parameters)
        log_prob, mean, sample = px.log_prob(x), px.mean, px.sample()
        log_prob.mean().backward()
    assert all(values.isfinite().all() for values in (log_prob, mean, sample, parameters.grad))
    assert ((mean >= 0) & (mean <= 1) & (sample >= 0) & (sample <= 1)).all()


def test_it_is_computed_in_float32_from_bfloat16_parameters():
    likelihood = LogisticMixtures(COLOUR)
    parameters, x = torch.randn(8, *likelihood.parameter_shape).bfloat16(), torch.rand(8, 3, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        log_prob = likelihood(parameters).log_prob(x)
    assert torch.equal(log_prob, likelihood(parameters.float()).log_prob(x))


def test_data_that_is_no_image_of_levels_is_refused_with_the_fix():
    with pytest.raises(UserError, match=r"images .*likelihood=gaussian"):
        LogisticMixtures(Space((4,), "unit"))
    with pytest.raises(UserError, match="likelihood=bernoulli"):
        LogisticMixtures(Space((1, 2, 2), "binary"))
