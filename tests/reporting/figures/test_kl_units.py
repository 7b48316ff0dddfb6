"""Bars of the KL by unit."""

import numpy as np
import torch

from tests.reporting.figures.drawn import shows
from vae_runner.reporting import figures


def test_each_level_of_a_ladder_has_bars_of_its_own():
    one = figures.kl_bars(torch.tensor([1.0, 2.0, 0.001]))
    two = figures.kl_bars([torch.tensor([1.0, 2.0]), np.array([0.5])], title="KL per unit")
    assert shows(one, "tab:blue")
    assert not shows(one, "tab:orange")
    assert shows(two, "tab:orange")
