"""Scaling is found block by block, as it is of all values at once."""

import pytest
import torch

from vae_runner.data.scaling import standardize, unit


@pytest.mark.parametrize("shape", [(100, 3), (100, 2, 5, 4)], ids=["columns", "images"])
@pytest.mark.parametrize("missing", [False, True])
def test_blocks_tell_what_all_values_at_once_do(shape, missing):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1e6
    if missing:
        x[::7] = torch.nan
    axes = (0,) if len(shape) == 2 else (0, 1, 2, 3)
    mean = x.nanmean(axes, keepdim=True)
    deviation = (x - mean).square().nanmean(axes, keepdim=True).sqrt()
    found = standardize(lambda: x.split(33))
    torch.testing.assert_close(found(x), ((x - mean) / deviation).float(), equal_nan=True)
    low = x.nan_to_num(torch.inf).amin(axes, keepdim=True)
    high = x.nan_to_num(-torch.inf).amax(axes, keepdim=True)
    assert torch.equal(unit(lambda: x.split(33))(x).nan_to_num(), ((x - low) / (high - low)).float().nan_to_num())


def test_what_does_not_vary_is_not_divided_by_zero():
    x = torch.full((10, 2), 3.0)
    assert torch.equal(standardize(lambda: [x])(x), torch.zeros(10, 2))
    assert torch.equal(unit(lambda: [x])(x), torch.zeros(10, 2))


def test_what_lies_outside_the_training_examples_is_clipped():
    scaling = unit(lambda: [torch.tensor([[0.0], [2.0]])])
    assert torch.equal(scaling(torch.tensor([[-1.0], [1.0], [9.0]])), torch.tensor([[0.0], [0.5], [1.0]]))
