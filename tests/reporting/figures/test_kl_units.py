"""Bars of the KL by unit."""

import numpy as np
import pytest
import torch

from tests.reporting.figures.drawn import shows
from vae_runner.reporting import figures
from vae_runner.reporting.figures import kl_units


def test_each_level_of_a_ladder_has_bars_of_its_own():
    one = figures.kl_bars(torch.tensor([1.0, 2.0, 0.001]))
    two = figures.kl_bars([torch.tensor([1.0, 2.0]), np.array([0.5])], title="KL per unit")
    assert shows(one, "tab:blue")
    assert not shows(one, "tab:orange")
    assert shows(two, "tab:orange")


@pytest.mark.parametrize("kl", [[8.25], [1.0, 2.0], [1.0, 2.0, 0.5]])
def test_units_are_numbered_in_whole_numbers_and_one_bar_is_that_of_all_of_them(kl, monkeypatch):
    drawn, image_of = [], kl_units.image_of
    monkeypatch.setattr(kl_units, "image_of", lambda figure: drawn.append(figure) or image_of(figure))
    figures.kl_bars(torch.tensor(kl), title="codes")
    (axes,) = drawn[0].axes
    (low, high), ticks = axes.get_xlim(), axes.get_xticks()
    seen = [tick for tick in ticks if low <= tick <= high]
    if len(kl) > 1:
        assert seen == list(range(len(kl)))
        assert axes.get_title().endswith(f"of {len(kl)} units with more than 0.01 nats")
    else:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["all latent units together"]
        assert axes.get_title() == "8.25 nats"
