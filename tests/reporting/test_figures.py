"""Figures show the values they were given."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from vae_runner.reporting import figures


def pixels(image):
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def shows(image, colour):
    """Whether a colour is in the picture, however transparent: what it takes from white has its direction."""
    from matplotlib.colors import to_rgb

    taken, wanted = 255 - pixels(image), 255 - np.array(to_rgb(colour)) * 255
    length = np.linalg.norm(taken, axis=-1)
    alike = (taken @ wanted) / np.maximum(length, 1) / np.linalg.norm(wanted)
    return bool(((alike > 0.999) & (length > 60)).any())


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


def test_principal_components_agree_with_scikit_learn():
    points = np.random.default_rng(0).normal(size=(50, 5)) * [5, 3, 1, 1, 1]
    oracle = PCA(2).fit(points)
    projected, shares = figures.principal_components(points)
    assert np.allclose(np.abs(projected), np.abs(oracle.transform(points)))
    assert np.allclose(shares, oracle.explained_variance_ratio_)


def test_principal_components_do_not_flip_from_one_epoch_to_the_next():
    points = np.random.default_rng(0).normal(size=(50, 4)) * [5, 3, 1, 1]
    before, _ = figures.principal_components(points)
    after, _ = figures.principal_components(points * 1.01)
    assert np.allclose(after, before * 1.01)


@pytest.mark.parametrize("shape", [(40, 1), (40, 2), (40, 5), (40, 3, 2, 2), (1, 4)])
def test_codes_of_any_shape_are_mapped(shape):
    codes = torch.randn(shape)
    labels = torch.arange(len(codes)) % 2
    assert shows(figures.latent_map(codes, labels, ["no", "yes"]), "tab:blue")


def test_hidden_classes_are_grey():
    codes, labels = torch.randn(60, 2), torch.full((60,), -1)
    hidden = pixels(figures.latent_map(codes, labels))
    assert (hidden.max(-1) - hidden.min(-1)).max() == 0
    labels[::2] = 0
    assert shows(figures.latent_map(codes, labels), "tab:blue")


@pytest.mark.parametrize("labels", [torch.arange(60), torch.zeros(60, 5, dtype=torch.long), None])
def test_many_classes_factors_and_no_labels_are_mapped(labels):
    image = pixels(figures.latent_map(torch.randn(60, 2), labels))
    assert (image.max(-1) - image.min(-1)).max() > 50


def test_codes_that_are_not_finite_are_left_out():
    codes = torch.randn(10, 2)
    with_nan = torch.cat([codes, torch.full((1, 2), float("nan"))])
    assert np.array_equal(pixels(figures.latent_map(codes)), pixels(figures.latent_map(with_nan)))


def test_each_level_of_a_ladder_has_bars_of_its_own():
    one = figures.kl_bars(torch.tensor([1.0, 2.0, 0.001]))
    two = figures.kl_bars([torch.tensor([1.0, 2.0]), np.array([0.5])], title="KL per unit")
    assert shows(one, "tab:blue")
    assert not shows(one, "tab:orange")
    assert shows(two, "tab:orange")


def test_curves_of_several_runs_have_a_colour_each():
    rows = [
        {"split": split, "step": s, "loss": 1.0 / s, "elbo": None} for s in (1, 2, 3) for split in ("train", "test")
    ]
    image = figures.curves({"a": rows, "b": rows[:1], "c": []}, ["loss", "elbo", "kl"], title="runs")
    assert shows(image, "tab:blue")
    assert shows(image, "tab:orange")


def test_curves_of_more_runs_than_the_legend_holds_are_drawn():
    rows = [{"split": "validation", "step": s, "loss": float(s)} for s in (1, 2)]
    few = figures.curves({str(run): rows for run in range(20)}, ["loss"])
    many = figures.curves({str(run): rows for run in range(40)}, ["loss"])
    assert many.height <= few.height + 30


@pytest.mark.parametrize(
    ("values", "limits"),
    [([1.0, float("nan"), 3.0], (1.0, 3.0)), ([2.0, 2.0], (1.5, 2.5)), ([float("inf")], (0.0, 1.0))],
)
def test_limits_are_finite_and_never_empty(values, limits):
    assert figures.limits_of(torch.tensor(values)) == limits


def ink(image, rows):
    """The first and the last column with ink in the topmost rows, and the width."""
    inked = np.nonzero((pixels(image)[rows] < 200).any(-1).any(0))[0]
    return inked.min(), inked.max(), image.width


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
