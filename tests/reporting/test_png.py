"""A file shows what was drawn, and has no channel that says nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from vae_runner.reporting.png import png, save


@pytest.mark.parametrize(("coloured", "mode"), [(False, "L"), (True, "RGB")])
def test_every_pixel_is_read_back_and_grey_takes_one_channel(coloured, mode):
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (20, 30, 1)), 3, axis=2).astype(np.uint8)
    pixels[3, 4, 1] ^= coloured
    read = Image.open(io.BytesIO(png(Image.fromarray(pixels))))
    assert read.mode == mode
    np.testing.assert_array_equal(np.asarray(read.convert("RGB")), pixels)


def test_a_picture_with_other_channels_is_written_as_it_is(tmp_path):
    image = Image.fromarray(np.zeros((4, 5, 4), np.uint8), "RGBA")
    assert Image.open(save(tmp_path / "clear.png", image)).mode == "RGBA"
