"""What TensorBoard's PROJECTOR finds."""

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from vae_runner.reporting.projector import LARGEST_SPRITES, projector_files
from vae_runner.reporting.tensorboard import TensorBoard


@pytest.fixture
def board(tmp_path):
    board = TensorBoard(tmp_path / "tensorboard")
    yield board
    board.close()


def shown(board, *args, **settings):
    """What its config says of the codes that were written last."""
    board.projector(projector_files(*args, **settings))
    text = (board.directory / "projector_config.pbtxt").read_text()
    return text_format.Parse(text, ProjectorConfig()).embeddings[0]


def test_the_projector_finds_codes_labels_and_sprites(board):
    codes = torch.randn(5, 3, 2)
    images = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 1, 8, 8)
    info = shown(board, codes, torch.tensor([0, 1, 2, -1, 0]), images, step=9, class_names=["t-shirt", "a\tb\nc", ""])
    assert list(info.tensor_shape) == [5, 6]
    assert "9" in info.tensor_name
    read_codes = np.loadtxt(board.directory / info.tensor_path, delimiter="\t")
    assert np.allclose(read_codes, codes.flatten(1), rtol=1e-5)
    labels = (board.directory / info.metadata_path).read_text().splitlines()
    assert labels == ["t-shirt", "a b c", "-", "-1", "t-shirt"]
    width, height = info.sprite.single_image_dim
    sprite = Image.open(board.directory / info.sprite.image_path).convert("RGB")
    assert (width, height) == (32, 32)
    assert sprite.size == (3 * width, 3 * height)
    # the fifth image stands in the second row, second column
    assert sprite.getpixel((width + 1, height + 1)) == (255, 255, 255)
    assert sprite.getpixel((1, 1)) == (0, 0, 0)


def test_codes_without_labels_or_images_are_enough_for_the_projector(board):
    info = shown(board, torch.randn(4, 2), step=1)
    assert not info.metadata_path
    assert not info.sprite.image_path


@pytest.mark.parametrize(("count", "side"), [(3, 600), (5000, 64), (3, 8)])
def test_a_sprite_is_never_larger_than_tensorboard_shows(board, count, side):
    info = shown(board, torch.zeros(count, 2), images=np.zeros((count, 1, side, side), np.uint8))
    sprite = Image.open(board.directory / info.sprite.image_path).convert("RGB")
    assert max(sprite.size) <= LARGEST_SPRITES
    across = int(np.ceil(np.sqrt(count)))
    assert sprite.size == tuple(across * dim for dim in info.sprite.single_image_dim)
