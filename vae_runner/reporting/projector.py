"""What TensorBoard's PROJECTOR shows: codes, their labels, and the examples that they are of."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.grids import Limits, as_pixels
from vae_runner.reporting.png import png

SMALLEST_SPRITE, LARGEST_SPRITE = 32, 64
LARGEST_SPRITES = 4096  # of all sprites together; browsers take twice that, encoding it takes seconds


def projector_files(
    codes: Values,
    labels: Sequence[Any] | Values | None = None,
    images: Values | None = None,
    step: int = 0,
    *,
    class_names: Sequence[str] | None = None,
    limits: Limits = (0.0, 1.0),
) -> dict[str, bytes]:
    """The files of the codes (N, *latent), by where they lie below the log; the last names the others.

    labels: (N,) classes or names. images: (N, C, H, W), drawn as the points.
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    points = as_array(codes).reshape(len(codes), -1)
    config = ProjectorConfig()
    info = config.embeddings.add(tensor_name=f"latents at step {step}", tensor_path="projector/codes.tsv")
    info.tensor_shape.extend(points.shape)
    rows = "".join("\t".join(f"{v:.6g}" for v in point) + "\n" for point in points)
    files = {info.tensor_path: rows.encode()}
    if labels is not None:
        info.metadata_path = "projector/labels.tsv"
        files[info.metadata_path] = "".join(f"{name}\n" for name in _names(labels, class_names)).encode()
    if images is not None:
        sprite, (width, height) = _sprite(as_pixels(images, limits))
        info.sprite.image_path = "projector/sprite.png"
        info.sprite.single_image_dim.extend([width, height])
        files[info.sprite.image_path] = png(sprite)
    return files | {"projector_config.pbtxt": text_format.MessageToString(config).encode()}


def _names(labels: Sequence[Any] | Values, class_names: Sequence[str] | None) -> list[str]:
    values = as_array(labels).tolist() if isinstance(labels, Tensor | np.ndarray) else list(labels)
    if class_names:
        values = [class_names[v] if isinstance(v, int) and 0 <= v < len(class_names) else v for v in values]
    # a tab or a line break would begin a new column or row
    return [" ".join(str(value).split()) or "-" for value in values]


def _sprite(pixels: np.ndarray) -> tuple[Image.Image, tuple[int, int]]:
    """All images in one square of cells, row by row, small ones enlarged and large ones reduced; and a cell's size."""
    across = math.ceil(math.sqrt(len(pixels)))
    height, width = pixels.shape[1:3]
    longer = max(height, width)
    room = min(LARGEST_SPRITES // across, LARGEST_SPRITE)
    whole = min(math.ceil(SMALLEST_SPRITE / longer), room // longer)
    if whole:
        cells = pixels.repeat(whole, axis=1).repeat(whole, axis=2)
    else:
        size = (max(1, width * room // longer), max(1, height * room // longer))
        reduced = (Image.fromarray(image).resize(size, Image.Resampling.BOX) for image in pixels)
        cells = np.stack([np.asarray(image) for image in reduced])
    height, width = cells.shape[1:3]
    empty = np.zeros((across**2 - len(cells), *cells.shape[1:]), np.uint8)
    rows = np.concatenate([cells, empty]).reshape(across, across, *cells.shape[1:])
    sprite = rows.swapaxes(1, 2).reshape(across * height, across * width, *cells.shape[3:])
    return Image.fromarray(sprite), (width, height)
