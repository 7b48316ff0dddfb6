"""Lines show the values they were given."""

import numpy as np
import torch

from tests.reporting.figures.drawn import ink, pixels
from vae_runner.reporting import figures


def test_equal_values_give_equal_pixels():
    x = torch.rand(3, 6)
    assert np.array_equal(pixels(figures.line_plots({"x": x})), pixels(figures.line_plots({"x": x})))


def test_a_bad_reconstruction_moves_no_axis():
    x = torch.rand(2, 30)
    good, bad = (pixels(figures.line_plots({"target": x, "reconstruction": y})) for y in (x * 0.9, x * 100))
    # the tick labels on the left of the first panel
    assert good.shape == bad.shape
    assert np.array_equal(good[:, :20], bad[:, :20])
    assert not np.array_equal(good, bad)


def test_the_legend_of_one_panel_fits():
    series = {name: torch.randn(1, 30) for name in ("target", "reconstruction", "input")}
    image = figures.line_plots(series)
    first, last, width = ink(image, slice(image.height - 60, image.height))
    assert 3 <= first < last <= width - 4


def test_a_value_between_two_gaps_is_a_point():
    x = torch.zeros(1, 30)
    x[0, [10, 12]] = float("nan")
    gone = x.clone()
    gone[0, 11] = float("nan")
    whole = [figures.line_plots({"x": values}, limits=(-1, 1)) for values in (x, gone)]
    assert not np.array_equal(*map(pixels, whole))
