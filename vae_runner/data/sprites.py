"""White shapes on black, rendered from five factors: dSprites (Matthey, Higgins, Hassabis and Lerchner, 2017).

The factors, their values and the order of the 737,280 images are those of dSprites; the pixels are our own rendering
of a square, an ellipse and a heart, not a copy of its file. Position x counts columns to the right, position y rows
downwards, and an orientation turns clockwise. As in dSprites, the first and the last orientation (0 and 2 pi) are the
same picture; so are, of squares and ellipses, some that are less than a step from the same turn.
"""

import math
from functools import cache

import torch
from torch import Tensor

from vae_runner.data.source import Source, Stored
from vae_runner.errors import UserError

FACTORS = ("shape", "scale", "orientation", "position_x", "position_y")
CATEGORICAL = (0, 2)  # shapes are names, and the last orientation is next to the first
SIZES = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ORIENTATIONS = tuple(2 * math.pi * i / 39 for i in range(40))
SIDE = 64
# positions are one pixel apart, so a sprite in the middle of this canvas holds all of its 32x32 places as windows
CANVAS = SIDE + SIZES[3] - 1


def inside(shape: str, across: Tensor, down: Tensor) -> Tensor:
    """Whether points, in pixels from the middle of an unturned shape of scale 1, lie inside it.

    No edge of an unturned shape passes through the middle of a pixel, so that rounding never decides.
    """
    if shape == "square":
        return torch.maximum(across.abs(), down.abs()) <= 10.5
    if shape == "ellipse":
        return (across / 13.2) ** 2 + (down / 6.6) ** 2 <= 1
    # (x^2 + y^2 - 1)^3 = x^2 y^3 with y upwards, moved by its centre of mass
    x, y = across / 8.5, 0.2935 - down / 8.5
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3


def sprite(shape: str, scale: float, orientation: float) -> Tensor:
    """The canvas (95, 95), bool, with a shape in its middle, turned clockwise by `orientation` radians."""
    pixels = torch.arange(CANVAS, dtype=torch.float64) - CANVAS // 2
    down, across = torch.meshgrid(pixels, pixels, indexing="ij")
    cosine, sine = math.cos(orientation), math.sin(orientation)
    return inside(shape, (cosine * across + sine * down) / scale, (cosine * down - sine * across) / scale)


@cache
def canvases() -> Tensor:
    """All sprites (3 * 6 * 40, 95, 95), 0 or 255."""
    sprites = [sprite(shape, scale, turn) for shape in SHAPES for scale in SCALES for turn in ORIENTATIONS]
    return torch.stack(sprites).to(torch.uint8) * 255


class SpriteSplit:
    """Sprites by their place in the order of dSprites (N,); each batch is cut out of 720 canvases when it is taken."""

    def __init__(self, places: Tensor, canvases: Tensor, sizes: Tensor, strides: Tensor) -> None:
        self.places = places
        self.canvases = canvases
        self.sizes = sizes
        self.strides = strides
        row = CANVAS
        self.windows = canvases.as_strided((len(canvases), 32, 32, SIDE, SIDE), (row * row, row, 1, row, 1))

    @classmethod
    def of(cls, places: Tensor) -> "SpriteSplit":
        strides = [math.prod(SIZES[i + 1 :]) for i in range(len(SIZES))]
        return cls(places, canvases(), torch.tensor(SIZES), torch.tensor(strides))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, SIDE, SIDE)

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        places, y = self.places.index_select(0, indices), self.targets(indices)
        # a window further to the left and up shows the sprite further to the right and down
        x = self.windows[places.div(32 * 32, rounding_mode="floor"), 31 - y[:, 4], 31 - y[:, 3]]
        return x.unsqueeze(1), y

    def targets(self, indices: Tensor) -> Tensor:
        places = self.places.index_select(0, indices)
        return places[:, None].div(self.strides, rounding_mode="floor") % self.sizes

    def subset(self, indices: Tensor) -> "SpriteSplit":
        return SpriteSplit(self.places[indices], self.canvases, self.sizes, self.strides)

    def read(self) -> "SpriteSplit":
        return self

    def to(self, device: torch.device | str) -> "SpriteSplit":
        return SpriteSplit(*(t.to(device) for t in (self.places, self.canvases, self.sizes, self.strides)))

    def mask(self, indices: Tensor) -> None:
        return None

    def context(self, indices: Tensor) -> None:
        return None

    def support(self) -> str:
        return "binary"


class Sprites(Source):
    """Any part of the grid of dSprites as (1, 64, 64), with y (N, 5) the class of each factor in the whole grid.

    shapes by name; scales, orientations, positions_x and positions_y by their class, counted from 0; None is all.
    """

    def __init__(
        self,
        *,
        shapes: list[str] | None = None,
        scales: list[int] | None = None,
        orientations: list[int] | None = None,
        positions_x: list[int] | None = None,
        positions_y: list[int] | None = None,
        **common,
    ) -> None:
        super().__init__(**common)
        self.values = [
            _chosen("shapes", shapes if shapes is None else [_shape(name) for name in shapes], SIZES[0]),
            _chosen("scales", scales, SIZES[1]),
            _chosen("orientations", orientations, SIZES[2]),
            _chosen("positions_x", positions_x, SIZES[3]),
            _chosen("positions_y", positions_y, SIZES[4]),
        ]

    def load(self) -> Stored:
        places = torch.zeros(1, dtype=torch.long)
        for values, size in zip(self.values, SIZES, strict=True):
            places = (places[:, None] * size + values).flatten()
        train = SpriteSplit.of(places)
        return Stored(train, factor_names=list(FACTORS), categorical_factors=CATEGORICAL)


def _shape(name: str) -> int:
    if name not in SHAPES:
        raise UserError(f"data.shapes: {name} is none of {', '.join(SHAPES)}")
    return SHAPES.index(name)


def _chosen(key: str, values: list[int] | None, size: int) -> Tensor:
    if values is None:
        return torch.arange(size)
    chosen = sorted(set(values))
    if not chosen or chosen[0] < 0 or chosen[-1] >= size:
        raise UserError(f"data.{key}={list(values)}: one or more classes from 0 to {size - 1}, or null for all")
    return torch.tensor(chosen)
