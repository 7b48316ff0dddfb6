"""The picture follows from the space; files appear whole."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vae_runner.data.space import Space
from vae_runner.reporting import figures, pictures
from vae_runner.reporting.figures import line_plots
from vae_runner.reporting.grids import STRIPES, grid, reconstruction_grid
from vae_runner.reporting.png import png, save

IMAGES, VECTORS = Space((1, 8, 8), "unit"), Space((12,), "real")
ROLL = Space((20, 88), "binary")
TEXT = Space((4,), "categorical", categories=5, vocabulary=("", "\N{REPLACEMENT CHARACTER}", "a", "b", "\n"))


def same(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


def test_images_are_drawn_as_grids():
    x = torch.rand(4, 1, 8, 8)
    assert same(pictures.draw_examples(IMAGES, x, columns=2), grid(x, 2))
    assert same(pictures.draw_reconstructions(IMAGES, x, 1 - x, x / 2), reconstruction_grid(x, 1 - x, x / 2))


def picture_of(space, x, **settings):
    return np.asarray(pictures.draw_examples(space, x, **settings)).astype(int)


def test_sequences_of_few_channels_are_drawn_as_lines_each_in_its_colour():
    x = torch.randn(3, 12, 2)
    assert same(pictures.draw_examples(Space((12, 2), "real"), x), line_plots({"x": x}))
    one = np.asarray(line_plots({"x": x[..., :1]})).reshape(-1, 3).astype(int)
    two = np.asarray(line_plots({"x": x})).reshape(-1, 3).astype(int)
    assert (one.max(1) - one.min(1)).max() == 0
    assert (two[:, 0] - two[:, 2]).max() > 100
    assert (two[:, 2] - two[:, 0]).max() > 100


def test_a_piano_roll_runs_to_the_right_and_upwards():
    x = torch.zeros(1, 20, 88)
    x[0, 0, 0] = x[0, 19, 87] = 1
    picture = picture_of(ROLL, x)
    rows, columns = np.nonzero((picture == picture.reshape(-1, 3).min(0)).all(-1))
    low, high = columns < columns.mean(), columns > columns.mean()
    assert rows[low].min() > rows[high].max()
    assert columns[low].min() == 8
    assert columns[high].max() == picture.shape[1] - 8 - 1


def test_the_keys_of_a_piano_are_shaded_seven_white_and_five_black_to_the_octave():
    picture = picture_of(ROLL, torch.zeros(1, 20, 88))
    column = picture[8:-8, 8, 0].reshape(88, -1)[::-1, 0]
    white = column == column.max()
    assert white.sum() == 52
    assert white[:12].tolist() == [True, False, True, True, False, True, False, True, True, False, True, False]


def test_what_lies_beyond_the_end_of_a_sequence_is_left_white():
    x, mask = torch.zeros(1, 20, 88), torch.ones(1, 20, 1)
    mask[:, 5:] = 0
    roll = Space((20, 88), "binary", ragged=True)
    picture = np.asarray(pictures.draw_reconstructions(roll, x, x + 0.9, mask=mask))
    whole = np.asarray(pictures.draw_reconstructions(roll, x, x + 0.9))
    assert picture.shape == whole.shape
    inked = np.nonzero((picture[..., 2] > 100) & (picture[..., 0] < 80))[1]
    wholly = np.nonzero((whole[..., 2] > 100) & (whole[..., 0] < 80))[1]
    assert (inked.max() - inked.min() + 1) * 4 == wholly.max() - wholly.min() + 1
    lines = Space((20, 1), "real", ragged=True)
    cut = pictures.draw_reconstructions(lines, x[..., :1], x[..., :1] + 1, mask=mask, limits=(0, 1))
    assert not same(cut, pictures.draw_reconstructions(lines, x[..., :1], x[..., :1] + 1, limits=(0, 1)))


def red(picture):
    array = np.asarray(picture).astype(int)
    return (array[..., 0] - array[..., 1:].max(-1) > 100).sum()


def test_letters_that_differ_from_the_target_are_red():
    x = torch.tensor([[2, 3, 4, 0], [2, 2, 0, 0]])
    other = x.clone()
    assert red(pictures.draw_reconstructions(TEXT, x, other)) == 0
    other[0, 1] = 2
    one = red(pictures.draw_reconstructions(TEXT, x, other))
    other[1, 0] = other[1, 1] = 3
    assert red(pictures.draw_reconstructions(TEXT, x, other)) > 2 * one > 0


def test_text_stops_at_its_end():
    x = torch.tensor([[2, 3, 0, 4], [2, 3, 0, 0]])
    assert same(pictures.draw_examples(TEXT, x[:1]), pictures.draw_examples(TEXT, x[1:]))


def test_long_text_goes_on_below():
    space = Space((250,), "categorical", categories=5, vocabulary=TEXT.vocabulary)
    short, long = (pictures.draw_examples(space, torch.full((1, 250), 2)[:, :n]) for n in (100, 250))
    assert long.width == short.width
    assert long.height == short.height + 2 * 18


def test_every_text_has_each_picture():
    x = torch.randint(5, (2, 3, 4))
    examples = pictures.draw_examples(TEXT, x[:, 0], columns=1, row_labels=["date", "time"], title="samples")
    traversal = pictures.draw_traversals(TEXT, x, [-1.0, 0.0, 1.0], ["z0", "z1"])
    reconstruction = pictures.draw_reconstructions(TEXT, x[0], x[1], x[1])
    assert all(len(picture.getcolors(1 << 24)) > 2 for picture in (examples, traversal, reconstruction))
    assert examples.width > pictures.draw_examples(TEXT, x[:, 0], columns=1, title="samples").width


def test_vectors_are_drawn_as_lines():
    x = torch.randn(3, 12)
    assert same(pictures.draw_examples(VECTORS, x), line_plots({"x": x}))


@pytest.mark.parametrize("space", [IMAGES, VECTORS, Space((2, 3, 4, 5), "real"), ROLL, Space((8, 2), "unit")])
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


def striped(picture):
    array = np.asarray(picture)
    return np.logical_or(*((array == stripe).all(-1) for stripe in STRIPES))


@pytest.mark.parametrize("channels", [1, 3])
def test_missing_pixels_are_striped_in_target_and_input_but_not_in_the_reconstruction(channels):
    x, mask = torch.rand(1, channels, 8, 8), torch.ones(1, channels, 8, 8)
    mask[:, :, 2, 3] = 0
    picture = pictures.draw_reconstructions(
        Space((channels, 8, 8), "unit"), x * mask, x, x * mask, mask=mask, title="x"
    )
    rows, columns = np.nonzero(striped(picture))
    assert len(rows) == 2 * 36
    assert columns.max() - columns.min() == 5
    assert not striped(pictures.draw_reconstructions(IMAGES, x[:, :1], x[:, :1], mask=torch.ones(1, 1, 8, 8))).any()


def test_missing_values_are_gaps_in_curves(monkeypatch):
    seen = []

    def spy(series, *args, **settings):
        seen.append((series, settings["title"]))
        return line_plots(series, *args, **settings)

    monkeypatch.setattr(figures, "line_plots", spy)
    mask = torch.ones(2, 12)
    mask[0, 4] = 0
    x = (5 + torch.rand(2, 12)) * mask
    pictures.draw_reconstructions(VECTORS, x, x, x, mask=mask, title="epoch 1")
    series, title = seen[0]
    assert title == "epoch 1; gaps: missing values"
    assert series["target"].isnan().nonzero().tolist() == series["input"].isnan().nonzero().tolist() == [[0, 4, 0]]
    assert not series["reconstruction"].isnan().any()


def test_what_is_missing_moves_no_axis():
    x, mask = torch.tensor([[0.0, 5.0, 6.0]]), torch.tensor([[0.0, 1.0, 1.0]])
    assert pictures.limits_of(VECTORS, x, mask) == (5.0, 6.0)
    assert pictures.limits_of(IMAGES, x, mask) == (0.0, 1.0)


def test_missing_steps_at_the_end_of_series_of_one_length_are_missing():
    x, mask = torch.zeros(1, 20, 1), torch.ones(1, 20, 1)
    mask[:, 3] = mask[:, 15:] = 0
    ended, missing = pictures.absent(Space((20, 1), "real"), x, mask)
    assert (ended.sum(), missing.sum()) == (0, 6)
    ended, missing = pictures.absent(Space((20, 1), "real", ragged=True), x, mask)
    assert (ended.sum(), missing.sum()) == (5, 1)
