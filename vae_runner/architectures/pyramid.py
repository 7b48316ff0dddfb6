"""What `conv` and `resnet` share: a pyramid of maps, halved on the way up and doubled on the way down."""

import math
from abc import ABC, abstractmethod
from typing import Annotated

from torch import nn

from vae_runner.architectures.layers import ACTIVATIONS, Activation, Normalisation, Stage
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.settings import Range

SMALLEST_SIDE = 4  # where `depth` is not given, halving stops before a side gets shorter than this
MOST_DOUBLINGS = 3  # channels double at each halving, at most this often


class Pyramid(ABC):
    """An architecture over images of any size: the sizes are worked out from the data.

    With `depth` null the image is halved for as long as its shorter side stays at 4 pixels or more. Latents are one
    vector, or maps at the pyramid's top where `spatial`.
    """

    def __init__(
        self,
        *,
        width: Annotated[int, Range(1, 4096)] = 32,
        depth: Annotated[int, Range(1, 12)] | None = None,
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.0,
        spatial: bool = False,
    ):
        self.width, self.depth, self.dropout, self.spatial = width, depth, dropout, spatial
        self.activation, self.normalisation = activation, normalisation

    def bottom_up(self, space: Space, levels: int, context: int) -> nn.ModuleList:
        """One stage per level, each halving `depth` times."""
        if not space.image:
            raise UserError(
                f"architecture={type(self).__name__.lower()} needs images (channels, height, width); this data has "
                f"examples of shape {tuple(space.shape)}: use architecture=mlp"
            )
        stages, shape = [], space.shape
        for _ in range(levels):
            sizes = self.sizes(shape[1:])
            channels = [shape[0] + context, *self.channels(len(sizes) - 1)]
            layers: list[nn.Module] = []
            for i, size in enumerate(sizes[1:]):
                layers += self.halve(channels[i], channels[i + 1], sizes[i], size)
                layers += self.drop()
            layers += self.close(channels[-1])
            shape = (channels[-1], *sizes[-1])
            stages.append(Stage(layers, shape))
        return nn.ModuleList(stages)

    def latent_shape(self, feature_shape: tuple[int, ...], latent_dim: int) -> tuple[int, ...]:
        return (latent_dim, *feature_shape[1:]) if self.spatial else (latent_dim,)

    def top_down(self, latent_shape: tuple[int, ...], target_shape: tuple[int, ...], context: int) -> Stage:
        """From z and the context to maps of the target's height and width: the bottom-up stage, mirrored."""
        sizes = self.sizes(target_shape[1:])[::-1]
        channels = [*self.channels(len(sizes) - 1)[::-1], self.width]
        layers: list[nn.Module] = []
        if len(latent_shape) == 3:
            layers += [nn.Conv2d(latent_shape[0] + context, channels[0], 1), self.activate()]
        else:
            start = (channels[0], *sizes[0])
            layers += [nn.Linear(math.prod(latent_shape) + context, math.prod(start)), self.activate()]
            layers += [nn.Unflatten(1, start)]
        for i, size in enumerate(sizes[1:]):
            layers += self.double(channels[i], channels[i + 1], sizes[i], size)
            layers += self.drop()
        return Stage([*layers, *self.close(channels[-1])], (channels[-1], *sizes[-1]))

    def sizes(self, size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Heights and widths from the image to the pyramid's top.

        Raises UserError where the image is too small to be halved `depth` times.
        """
        sizes = [tuple(size)]
        while len(sizes) - 1 < (self.depth or 12):
            smaller = tuple(n // 2 for n in sizes[-1])
            if min(smaller) < (1 if self.depth else SMALLEST_SIDE) and len(sizes) > 1:
                break
            if min(smaller) < 1:
                break
            sizes.append(smaller)
        if (self.depth and len(sizes) - 1 < self.depth) or len(sizes) == 1:
            raise UserError(
                f"architecture.depth={self.depth}: images of {size[0]}x{size[1]} pixels can be halved "
                f"{len(sizes) - 1} times; use a smaller depth, or null to have it worked out"
            )
        return sizes

    def channels(self, depth: int) -> list[int]:
        return [self.width * 2 ** min(i, MOST_DOUBLINGS) for i in range(depth)]

    def activate(self) -> nn.Module:
        return ACTIVATIONS[self.activation]()

    def drop(self) -> list[nn.Module]:
        return [nn.Dropout2d(self.dropout)] if self.dropout else []

    def close(self, channels: int) -> list[nn.Module]:
        """Layers that end a stage."""
        return []

    @abstractmethod
    def halve(self, inputs: int, outputs: int, size: tuple[int, ...], smaller: tuple[int, ...]) -> list[nn.Module]:
        """Layers from (N, inputs, *size) to (N, outputs, *smaller), smaller being half of size, rounded down."""

    @abstractmethod
    def double(self, inputs: int, outputs: int, size: tuple[int, ...], larger: tuple[int, ...]) -> list[nn.Module]:
        """Layers from (N, inputs, *size) to (N, outputs, *larger), size being half of larger, rounded down."""
