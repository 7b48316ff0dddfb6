"""The bound as its draws grow."""

import pytest

from tests.reporting.figures.drawn import shows
from vae_runner.reporting import figures
from vae_runner.reporting.figures import bounds


def test_each_bound_stands_over_its_draws_with_its_error(monkeypatch):
    seen = []
    monkeypatch.setattr(bounds, "image_of", seen.append)
    figures.bound_curve([1, 2, 5], [-100.0, -98.0, -97.0], [1.0, 0.5, 0.25], title="bounds")
    (axes,) = seen[0].axes
    (line, _, (bars,)) = axes.containers[0]
    assert axes.get_xscale() == "log"
    assert line.get_xydata().tolist() == [[1, -100], [2, -98], [5, -97]]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [
        [pytest.approx(-101), pytest.approx(-99)],
        [pytest.approx(-98.5), pytest.approx(-97.5)],
        [pytest.approx(-97.25), pytest.approx(-96.75)],
    ]


def test_the_bounds_are_drawn():
    draws = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    assert shows(figures.bound_curve(draws, [-100 + i for i in range(12)], [0.5] * 12), "tab:blue")


def test_bounds_of_one_example_and_those_that_are_not_finite_have_no_bars():
    assert shows(figures.bound_curve([1, 2], [-100.0, -98.0], [None, None]), "tab:blue")
    assert shows(figures.bound_curve([1, 2, 5], [None, -98.0, -97.0], [None, 0.5, 0.2]), "tab:blue")
