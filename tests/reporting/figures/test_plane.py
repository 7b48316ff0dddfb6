"""Runs in the plane of rate and distortion."""

import numpy as np
import pytest

from tests.reporting.figures.drawn import shows
from vae_runner.reporting.figures import Point, plane, rate_distortion


@pytest.fixture
def axes_of(monkeypatch):
    """The axes that points are drawn in."""

    def axes(*args, **settings):
        seen = []
        with monkeypatch.context() as patch:
            patch.setattr(plane, "image_of", seen.append)
            rate_distortion(*args, **settings)
        return seen[0].axes[0]

    return axes


CURVE = [Point(str(beta), 40 / beta, 70 + 5 * beta, place=beta) for beta in (4, 1, 2)]


def test_a_sweep_of_one_number_is_a_curve_in_its_order(axes_of):
    axes = axes_of(CURVE, legend="kl.weight")
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert curve.get_xydata().tolist() == [[40, 75], [20, 80], [10, 90]]
    assert sorted(text.get_text() for text in axes.texts if text.get_text() in "124") == ["1", "2", "4"]
    assert axes.get_title() == "dotted: constant ELBO; dashed: the best, -100; beside the points: kl.weight"


def test_the_dashed_line_has_the_elbo_of_the_best_run(axes_of):
    axes = axes_of(CURVE)
    (best,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert np.allclose(best.get_xydata().sum(1), 100)


def test_points_without_an_order_are_told_by_a_legend(axes_of):
    points = [Point("variant=vae", 20, 80), Point("variant=iwae", 25, 70)]
    axes = axes_of(points)
    assert axes.get_legend_handles_labels()[1] == ["variant=vae", "variant=iwae"]
    image = rate_distortion(points, title="two runs")
    assert shows(image, "tab:blue")
    assert shows(image, "tab:orange")


def test_means_have_bars_of_their_deviations(axes_of):
    axes = axes_of([Point("a", 20, 80, errors=(2.0, 3.0)), Point("b", 10, 95, errors=(None, None))])
    bars = [bar.get_segments()[0].tolist() for bar in axes.containers[0][2]]
    assert bars == [[[18, 80], [22, 80]], [[20, 77], [20, 83]]]
    assert axes.containers[1][2] == ()


def test_the_bars_are_whole(axes_of):
    axes = axes_of([Point("a", 20, 80, errors=(30.0, 40.0)), Point("b", 10, 95)])
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert left < -10
    assert right > 50
    assert low < 40
    assert high > 120


@pytest.mark.parametrize("count", [1, 11, 40])
def test_any_number_of_runs_is_drawn(count):
    assert rate_distortion([Point(f"run {i}", 10 + i, 80 - i / 2) for i in range(count)]).width > 500
