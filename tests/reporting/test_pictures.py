"""The picture follows from the space; files appear whole."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vae_runner.data.space import Space
from vae_runner.reporting import pictures
from vae_runner.reporting.figures import line_plots
from vae_runner.reporting.grids import grid, reconstruction_grid
from vae_runner.reporting.png import png, save

IMAGES, VECTORS = Space((1, 8, 8), "unit"), Space((12,), "real")


def same(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


def test_images_are_drawn_as_grids():
    x = torch.rand(4, 1, 8, 8)
    assert same(pictures.draw_examples(IMAGES, x, columns=2), grid(x, 2))
    assert same(pictures.draw_reconstructions(IMAGES, x, 1 - x, x / 2), reconstruction_grid(x, 1 - x, x / 2))


def test_grey_images_without_a_channel_are_drawn_as_grids():
    x = torch.rand(4, 8, 8)
    assert same(pictures.draw_examples(Space((8, 8), "unit"), x), grid(x, 10))


def test_vectors_are_drawn_as_lines():
    x = torch.randn(3, 12)
    assert same(pictures.draw_examples(VECTORS, x), line_plots({"x": x}))


@pytest.mark.parametrize("space", [IMAGES, VECTORS, Space((2, 3, 4, 5), "real"), Space((8, 8), "binary")])
def test_every_space_has_each_picture(space):
    x = torch.rand(2, 5, *space.shape)
    traversal = pictures.draw_traversals(space, x, [-2.0, -1.0, 0.0, 1.0, 2.0], ["z0", "z1"], title="prior")
    examples = pictures.draw_examples(space, x[0], title="samples")
    reconstructions = pictures.draw_reconstructions(space, x[0], x[1], x[1] / 2, title="epoch 1")
    assert all(len(picture.getcolors(1 << 24)) > 2 for picture in (traversal, examples, reconstructions))


def test_a_real_space_is_scaled_by_its_own_limits():
    real = Space((1, 8, 8), "real")
    x = torch.rand(4, 1, 8, 8)
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 0, 1
    assert same(pictures.draw_examples(real, x * 6 - 3), pictures.draw_examples(IMAGES, x))
    assert pictures.limits_of(real, x * 6 - 3) == (-3.0, 3.0)
    assert pictures.limits_of(IMAGES, x * 0.5) == (0.0, 1.0)


def test_a_traversal_has_a_row_per_unit():
    x = torch.zeros(2, 3, 1, 8, 8)
    x[1] = 1 / 2
    picture = np.asarray(pictures.draw_traversals(IMAGES, x, [-1.0, 0.0, 1.0], ["z0", "z1"]))
    black, grey = (np.argwhere((picture == value).all(-1)) for value in (0, 128))
    assert black.max(0)[0] < grey.min(0)[0]
    assert black.min(0)[1] == grey.min(0)[1]


def test_a_picture_is_read_back_to_the_pixel(tmp_path):
    picture = grid(torch.rand(4, 3, 8, 8))
    path = save(tmp_path / "images" / "samples" / "epoch_1.png", picture)
    assert same(Image.open(path), picture)
    assert same(Image.open(io.BytesIO(png(picture))), picture)
    assert [file.name for file in path.parent.iterdir()] == ["epoch_1.png"]
    assert png(picture) == path.read_bytes()
