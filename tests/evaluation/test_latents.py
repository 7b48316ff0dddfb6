import numpy as np
import pytest
import torch

from vae_runner.evaluation.latents import Moments


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
