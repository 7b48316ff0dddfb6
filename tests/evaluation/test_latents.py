import math

import numpy as np
import pytest
import torch

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.evaluation.latents import Moments, mutual_information
from vae_runner.models.evidence import Level


def level(mean, deviation):
    q = DiagonalGaussian(mean, torch.full_like(mean, 2 * math.log(deviation)))
    return Level(z=q.sample(1), q=q, p=StandardNormal(torch.zeros(mean.shape[1:])))


def test_mutual_information_equals_the_gaussian_channel_s():
    torch.manual_seed(0)
    # means N(0, 0.8 I), noise 0.2 I: the aggregate is N(0, I) and I = D/2 log(1 / 0.2), here 1.609 nats
    mean = torch.randn(2000, 2) * math.sqrt(0.8)
    estimate = mutual_information([level(mean, math.sqrt(0.2))], 2000)
    assert float(estimate.mean()) == pytest.approx(math.log(5), abs=0.08)


def test_a_posterior_that_ignores_x_shares_nothing_with_it():
    torch.manual_seed(0)
    assert float(mutual_information([level(torch.zeros(500, 3), 1.0)], 500).mean()) == pytest.approx(0, abs=1e-5)


def test_the_estimate_is_bounded_by_the_log_of_the_examples():
    torch.manual_seed(0)
    far_apart = torch.arange(64.0)[:, None] * 100
    assert float(mutual_information([level(far_apart, 0.1)], 64).mean()) == pytest.approx(math.log(64), abs=1e-4)


def test_only_the_first_examples_count():
    torch.manual_seed(0)
    some = level(torch.randn(300, 2), 0.3)
    head = Level(z=some.z[:, :100], q=some.q[:100], p=some.p)
    assert torch.equal(mutual_information([some], 100), mutual_information([head], 1000))


def test_examples_of_several_batches_are_as_those_of_one():
    torch.manual_seed(0)
    whole = level(torch.randn(300, 2), 0.3)
    cuts = [slice(0, 120), slice(120, 180), slice(180, 300)]
    parts = [Level(z=whole.z[:, cut], q=whole.q[cut], p=whole.p) for cut in cuts]
    for examples in (150, 300):
        expected = mutual_information([whole], examples)
        torch.testing.assert_close(mutual_information(parts, examples), expected)


def test_spatial_latents_are_one_event():
    torch.manual_seed(0)
    mean = torch.randn(200, 2, 3, 3)
    flat = DiagonalGaussian(mean.flatten(1), torch.zeros(200, 18))
    z = flat.sample(1)
    spatial = DiagonalGaussian(mean, torch.zeros_like(mean))
    one = mutual_information([Level(z, flat, None)], 200)
    other = mutual_information([Level(z.view(1, 200, 2, 3, 3), spatial, None)], 200)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cuts", [[400], [1, 150, 249], [133, 133, 134]])
def test_moments_of_batches_are_those_of_the_whole(cuts):
    values = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)) * 3 + 1000
    moments = Moments()
    for part in values.split(cuts):
        moments.add(part)
    torch.testing.assert_close(moments.variance(), values.double().var(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(moments.unit_variance(), moments.variance())


@pytest.mark.parametrize("cuts", [[60], [1, 20, 39]])
def test_the_variance_of_a_unit_is_taken_at_each_position_that_examples_have(cuts):
    random = np.random.default_rng(0)
    lengths, values = random.integers(1, 7, 60), random.normal(size=(60, 2, 6)) + 100 * np.arange(6)
    there = np.arange(6) < lengths[:, None]
    values = values * there[:, None]
    moments = Moments()
    for part, of_part in zip(torch.tensor(values).split(cuts), torch.tensor(there).split(cuts), strict=True):
        moments.add(part, of_part[:, None])
    # an offset that all examples have at a position, and zeros beyond an end, are no variance
    at_positions = [[values[there[:, t], unit, t].var(ddof=1) for t in range(6)] for unit in range(2)]
    expected = np.average(at_positions, axis=1, weights=there.sum(0) - 1)
    torch.testing.assert_close(moments.unit_variance(), torch.tensor(expected))
    assert expected.max() < 2
