"""Codes are where they lie."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from tests.reporting.figures.drawn import pixels, shows
from vae_runner.reporting import figures
from vae_runner.reporting.figures.latent_maps import principal_components


def test_principal_components_agree_with_scikit_learn():
    points = np.random.default_rng(0).normal(size=(50, 5)) * [5, 3, 1, 1, 1]
    oracle = PCA(2).fit(points)
    projected, shares, _ = principal_components(points, 2)
    assert np.allclose(np.abs(projected), np.abs(oracle.transform(points)))
    assert np.allclose(shares, oracle.explained_variance_ratio_)


def test_principal_components_do_not_flip_from_one_epoch_to_the_next():
    points = np.random.default_rng(0).normal(size=(50, 4)) * [5, 3, 1, 1]
    before, _, _ = principal_components(points, 2)
    after, _, _ = principal_components(points * 1.01, 2)
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


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("low", [-5.5, 0.25])
def test_real_values_are_colours_of_a_scale_that_reaches_from_the_least_to_the_greatest(monkeypatch, dimensions, low):
    from matplotlib import colormaps

    from vae_runner.reporting.figures import latent_maps

    seen = []
    monkeypatch.setattr(latent_maps, "image_of", seen.append)
    codes, targets = torch.randn(60, dimensions), torch.stack([torch.linspace(low, low + 2, 60), torch.zeros(60)], 1)
    draw = figures.latent_map_3d if dimensions == 3 else figures.latent_map
    draw(codes, targets, factor="depth")
    (figure,) = seen
    panel, scale = figure.axes[0], figure.axes[-1]
    assert scale.get_ylabel() == "depth"
    assert scale.get_ylim() == pytest.approx((low, low + 2))
    if dimensions > 1:
        figure.canvas.draw()
        assert panel.collections[0].get_array().data == pytest.approx(targets[:, 0].numpy())
    else:
        fifths = [colormaps["viridis"](place)[:3] for place in (5.5 / 59, 17.5 / 59, 29.5 / 59, 41.5 / 59, 53.5 / 59)]
        drawn = dict.fromkeys(bar.get_facecolor()[:3] for bar in panel.patches)
        assert np.allclose(list(drawn), fifths, atol=0.01)
        assert sum(bar.get_height() for bar in panel.patches) == 60


def test_codes_that_are_not_finite_are_left_out():
    codes = torch.randn(10, 2)
    with_nan = torch.cat([codes, torch.full((1, 2), float("nan"))])
    assert np.array_equal(pixels(figures.latent_map(codes)), pixels(figures.latent_map(with_nan)))


def test_other_points_are_projected_as_the_codes_are():
    points = np.random.default_rng(0).normal(size=(50, 5)) * [5, 3, 1, 1, 1] + 7
    projected, _, others = principal_components(points, 3, points[:4])
    assert np.allclose(others, projected[:4])


def test_few_points_have_no_third_component():
    projected, shares, _ = principal_components(np.array([[0.0, 0, 0, 1], [0, 0, 0, 3]]), 3)
    assert np.allclose(projected, [[-1, 0, 0], [1, 0, 0]])
    assert np.allclose(shares, [1, 0, 0])


def test_draws_from_the_prior_are_grey_behind_the_codes():
    codes, labels = torch.randn(60, 4), torch.zeros(60, dtype=torch.long)
    alone = pixels(figures.latent_map(codes, labels))
    behind = pixels(figures.latent_map(codes, labels, prior=10 * torch.randn(500, 4)))
    pale = ((behind > 190) & (behind < 220)).all(-1)  # 0.8 of white
    assert pale.sum() > 5 * ((alone > 190) & (alone < 220)).all(-1).sum()


def test_codes_and_draws_of_one_dimension_are_counted_in_the_same_bins(monkeypatch):
    from vae_runner.reporting.figures import latent_maps

    seen = []
    monkeypatch.setattr(latent_maps, "image_of", seen.append)
    figures.latent_map(torch.randn(500, 1) / 10, prior=torch.randn(500, 1))
    (axes,) = seen[0].axes
    widths = [bar.get_width() for bars in axes.containers for bar in bars]
    assert len(axes.containers) == 2
    assert np.allclose(widths, widths[0])


def test_many_classes_have_the_colours_that_the_bar_has_for_them(monkeypatch):
    from matplotlib import colormaps

    from vae_runner.reporting.figures import latent_maps

    seen = []
    monkeypatch.setattr(latent_maps, "image_of", seen.append)
    classes = torch.tensor([*range(21), 100])
    figures.latent_map(torch.randn(22, 2), classes)
    axes, _ = seen[0].axes
    drawn = [points.get_facecolor()[0, :3] for points in axes.collections]
    assert np.allclose(drawn, colormaps["viridis"](classes.numpy() / 100)[:, :3])


@pytest.mark.parametrize("draw", [figures.latent_map, figures.latent_map_3d])
def test_the_legend_and_the_bar_name_the_factor_that_colours_stand_for(draw, monkeypatch):
    from vae_runner.reporting.figures import latent_maps

    seen = []
    monkeypatch.setattr(latent_maps, "image_of", seen.append)
    for values in (3, 40):
        draw(torch.randn(80, 3), torch.stack([torch.arange(80) % values, torch.zeros(80).long()], 1), factor="scale")
    few, many = seen
    assert few.legends[0].get_title().get_text() == "scale"
    assert many.axes[-1].get_ylabel() == "scale"


def said(monkeypatch, *args, **settings):
    """The title and the labels of the axes of a map in three dimensions."""
    from vae_runner.reporting.figures import latent_maps

    seen = []
    monkeypatch.setattr(latent_maps, "image_of", seen.append)
    figures.latent_map_3d(*args, **settings)
    (figure,) = seen
    axes = figure.axes[0]
    return " ".join(figure.get_suptitle().split()), [axes.get_xlabel(), axes.get_ylabel(), axes.get_zlabel()]


def test_three_latents_are_shown_as_they_are_and_more_by_their_components(monkeypatch):
    points = np.random.default_rng(0).normal(size=(80, 6)) * [5, 3, 2, 1, 1, 1]
    title, labels = said(monkeypatch, points[:, :3], title="codes")
    assert title == "codes: all 3 latents as they are"
    assert labels == ["$z_1$", "$z_2$", "$z_3$"]
    shares = PCA(3).fit(points).explained_variance_ratio_
    title, labels = said(monkeypatch, points, title="codes")
    share = f"{shares.sum():.0%}"
    assert title == f"codes: the first 3 principal components of 6 latents, {share} of the variance"
    assert labels == [f"{nth} ({share:.0%})" for nth, share in zip(("1st", "2nd", "3rd"), shares, strict=True)]


@pytest.mark.parametrize("spreads", [(1, 1, 1), (3, 1, 1), (1, 1, 3), (1, 3, 1), (900, 3, 1)])
def test_nothing_of_three_dimensions_is_cut_off_and_no_scale_is_too_small_to_read(monkeypatch, spreads):
    from vae_runner.reporting.figures import latent_maps

    seen = []
    monkeypatch.setattr(latent_maps, "image_of", seen.append)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    figures.latent_map_3d(corners * spreads, title="codes of 8 test examples of a run with a long name " * 3)
    (figure,) = seen
    figure.canvas.draw()
    whole, title = figure.bbox, figure._suptitle.get_window_extent()
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis, panel.zaxis):
            box = axis.get_tightbbox(figure.canvas.get_renderer())
            assert box.x0 >= 0 <= box.y0
            assert box.x1 <= whole.x1
            assert box.y1 <= title.y0
        assert panel._box_aspect.max() <= 1.01 * latent_maps.ALIKE * panel._box_aspect.min()
    assert ("a scale of its own" in figure.get_suptitle().replace("\n", " ")) == (spreads[0] == 900)


def test_a_share_is_all_or_nothing_only_where_it_is():
    from vae_runner.reporting.figures.latent_maps import percent

    assert [percent(share) for share in (0.0, 0.001, 0.3, 0.9949, 0.9991, 1.0)] == [
        *("0%", "<1%", "30%", "99%", ">99%", "100%"),
    ]


@pytest.mark.parametrize("shape", [(40, 3), (40, 7), (40, 3, 2, 2), (1, 4), (5, 3)])
def test_codes_are_mapped_in_three_dimensions_by_class(shape):
    codes = torch.randn(shape)
    image = figures.latent_map_3d(codes, torch.arange(len(codes)) % 2, ["no", "yes"])
    assert shows(image, "tab:blue")
    assert shows(image, "tab:orange") == (len(codes) > 1)
