"""Limits, and titles that fit."""

import numpy as np
import pytest
import torch

from tests.reporting.figures.drawn import ink, pixels
from vae_runner.reporting import figures


@pytest.mark.parametrize(
    ("values", "limits"),
    [([1.0, float("nan"), 3.0], (1.0, 3.0)), ([2.0, 2.0], (1.5, 2.5)), ([float("inf")], (0.0, 1.0))],
)
def test_limits_are_finite_and_never_empty(values, limits):
    assert figures.limits_of(torch.tensor(values)) == limits


LONG = (
    "test examples from step 10 on, error: forecast 1.023, last value 1.688, mean so far 2.254; best weights, epoch 2"
)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_title_fits_into_a_narrow_figure(count):
    image = figures.line_plots({"x": torch.randn(count, 30)}, title=LONG)
    plain = figures.line_plots({"x": torch.randn(count, 30)})
    first, last, width = ink(image, slice(0, image.height - plain.height))
    assert 3 <= first < last <= width - 4
    # and room is made for all of its lines
    bare = figures.line_plots({"x": torch.randn(count, 30)}, title="x")
    assert image.height > bare.height


@pytest.mark.parametrize("title", ["a" * 300, "x " * 300])
def test_even_one_long_word_is_broken(title):
    image = figures.line_plots({"x": torch.zeros(1, 30)}, title=title)
    first, last, width = ink(image, slice(0, 100))
    assert 3 <= first < last <= width - 4


@pytest.mark.parametrize(
    "draw",
    [
        lambda title: figures.latent_map(torch.randn(40, 5), torch.arange(40) % 3, title=title),
        lambda title: figures.latent_map(torch.randn(40, 1), title=title),
        lambda title: figures.curves({"a": [{"split": "test", "step": 1, "loss": 1.0}]}, ["loss"], title=title),
    ],
)
def test_a_title_stands_clear_of_the_axes(draw):
    rows = np.nonzero((pixels(draw("codes"))[:, 100:400] < 200).any(-1).any(1))[0]
    gaps = np.diff(rows)
    assert rows[0] >= 8
    # the letters of the title, then nothing, then the frame
    assert gaps[gaps > 1][0] >= 10
