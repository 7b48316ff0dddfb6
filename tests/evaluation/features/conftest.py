"""Features of the embedded digits, trained once."""

import pytest
import torch

from vae_runner.data.digits import Digits
from vae_runner.data.space import Space
from vae_runner.evaluation.features import train_features

DIGITS = Space((1, 8, 8), "unit", classes=10)


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def same(a, b):
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


@pytest.fixture(scope="package")
def digits():
    stored = Digits().load()
    return stored.train, stored.test


@pytest.fixture(scope="package")
def trained(digits):
    train, _ = digits
    return train_features(train.x, train.y, DIGITS, steps=200)
