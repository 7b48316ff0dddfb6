"""Grids are sharp, labelled, and of one layout."""

import numpy as np
import pytest
import torch

from vae_runner.reporting.grids import as_pixels, grid, reconstruction_grid, stacked


def colours(image):
    return {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3)}


def cells_of(image, value):
    """Bounding box (left, top, right, bottom) of the pixels of one colour."""
    rows, columns = np.nonzero((np.asarray(image) == value).all(-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_a_small_image_is_enlarged_without_a_new_colour():
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 2, 3] = 128 / 255
    picture = grid(image)
    assert colours(picture) == {(255, 255, 255), (0, 0, 0), (128, 128, 128)}
    left, top, right, bottom = cells_of(picture, (128, 128, 128))
    assert right - left == bottom - top == 6


@pytest.mark.parametrize(("side", "drawn"), [(8, 48), (28, 56), (32, 64), (64, 64), (600, 200)])
def test_the_side_of_a_cell(side, drawn):
    left, top, right, bottom = cells_of(grid(torch.zeros(1, 1, side, side)), (0, 0, 0))
    assert (right - left, bottom - top) == (drawn, drawn)


def test_images_stand_row_by_row():
    shades = torch.tensor([10, 20, 30, 40, 50]) / 255
    picture = grid(shades[:, None, None, None].expand(5, 1, 48, 48), columns=3)
    corners = {shade: cells_of(picture, (shade,) * 3)[:2] for shade in (10, 20, 30, 40, 50)}
    assert corners == {10: (8, 8), 20: (58, 8), 30: (108, 8), 40: (8, 58), 50: (58, 58)}


def test_colour_stays_colour():
    red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None].expand(1, 3, 48, 48)
    assert colours(grid(red)) == {(255, 255, 255), (255, 0, 0)}


def test_other_channel_counts_are_drawn_side_by_side_in_grey():
    images = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])[None]
    pixels = as_pixels(images)
    assert pixels.shape == (1, 4, 8)
    assert pixels[0, 0].tolist() == [0] * 4 + [255] * 4
    assert as_pixels(torch.rand(2, 20, 4, 4)).shape == (2, 4, 32)


def test_values_are_clipped_to_the_limits():
    values = torch.tensor([-3.0, -2.0, 0.0, 2.0, 9.0, float("nan"), float("inf")])[None, None, None]
    assert as_pixels(values, limits=(-2.0, 2.0)).tolist() == [[[0, 0, 128, 255, 255, 0, 255]]]


def test_bytes_are_drawn_as_they_are():
    values = torch.arange(256, dtype=torch.uint8)[None, None, None]
    assert as_pixels(values)[0, 0].tolist() == list(range(256))


def test_half_precision_is_drawn():
    assert as_pixels(torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)).min() == 255


def test_a_grid_of_no_images_is_refused():
    with pytest.raises(ValueError, match="no images"):
        grid(torch.zeros(0, 1, 8, 8))


def test_labels_leave_the_images_as_they_are():
    images = torch.rand(6, 1, 8, 8)
    plain = np.asarray(grid(images, 3))
    labelled = np.asarray(
        grid(images, 3, row_labels=["a", "β"], column_labels=["-3", "a long label", ""], title="title")
    )
    height, width = plain.shape[0] - 16, plain.shape[1] - 16
    assert np.array_equal(plain[8:-8, 8:-8], labelled[-8 - height : -8, -8 - width : -8])
    assert labelled.shape[0] > plain.shape[0]
    assert labelled.shape[1] > plain.shape[1]


def test_the_layout_does_not_depend_on_the_values():
    black, white = torch.zeros(12, 1, 8, 8), torch.ones(12, 1, 8, 8)
    assert reconstruction_grid(black, white).size == reconstruction_grid(white, black).size


def test_each_target_stands_above_its_reconstruction():
    x = torch.zeros(3, 3, 8, 8)
    x[:, 0] = torch.tensor([100, 110, 120]).div(255)[:, None, None]
    reconstruction, corrupted = x.clone(), x.clone()
    reconstruction[:, 0] += 50 / 255
    corrupted[:, 0] += 100 / 255
    picture = reconstruction_grid(x, reconstruction, corrupted, columns=2)
    place = {shade: cells_of(picture, (shade, 0, 0))[:2] for shade in (200, 100, 150, 110, 160, 120, 170, 220)}
    left, top = place[200]
    assert place[100] == (left, top + 50)
    assert place[150] == (left, top + 100)
    assert place[110] == (left + 50, top + 50)
    # the third example begins a second block, apart from the first
    assert place[220] == (left, top + 150 + 12)
    assert place[120] == (left, top + 200 + 12)
    assert (place[160][0], place[170][0]) == (left + 50, left)


def test_stored_bytes_and_floats_mix_in_a_reconstruction():
    x = torch.full((2, 1, 8, 8), 128, dtype=torch.uint8)
    mixed, floats = reconstruction_grid(x, x / 255), reconstruction_grid(x / 255, x / 255)
    assert np.array_equal(np.asarray(mixed), np.asarray(floats))


def test_pictures_are_stacked_as_they_are():
    one, other = grid(torch.zeros(1, 1, 8, 8)), grid(torch.full((2, 1, 8, 8), 0.5), 2)
    both = stacked([one, other])
    assert both.size == (other.width, one.height + other.height)
    assert np.array_equal(np.asarray(both)[one.height :], np.asarray(other))
    assert cells_of(both, (0, 0, 0)) == cells_of(one, (0, 0, 0))
    assert stacked([one]) is one
