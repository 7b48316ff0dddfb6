"""What `conv` and `resnet` share: a pyramid of maps, halved on the way up and doubled on the way down."""

import math
from abc import ABC, abstractmethod
from typing import Annotated

from torch import Tensor, nn

from vae_runner import noise
from vae_runner.architectures.layers import (
    ACTIVATIONS,
    Activation,
    Normalisation,
    Shape,
    Stage,
    append_context,
    context_size,
)
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.settings import Range

SMALLEST_SIDE = 4  # where `depth` is not given, halving stops before a side gets shorter than this
MOST_DOUBLINGS = 3  # channels double at each halving, at most this often


class RepeatedContext(nn.Module):
    """Blocks of layers, each of which is handed the context anew."""

    def __init__(self, blocks: list[list[nn.Module]], shape: Shape):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(*block) for block in blocks)
        self.shape = shape

    def forward(self, h: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            h = block(append_context(h, context))
        return h


def _path(large: Shape, small: Shape) -> list[Shape]:
    """Heights and widths from the large map to the small one, each half of the one before, rounded down."""
    sizes = [tuple(large)]
    while sizes[-1] != tuple(small):
        sizes.append(tuple(n // 2 for n in sizes[-1]))
    return sizes


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

    def bottom_up(self, space: Space, levels: int, context: Shape) -> nn.ModuleList:
        """One stage per level; the first reads x and the context. The halvings are shared out among the levels."""
        if not space.image:
            raise UserError(
                f"architecture={type(self).__name__.lower()} needs images (channels, height, width); this data has "
                f"examples of shape {tuple(space.shape)}: use architecture="
                + ("recurrent" if space.sequence else "mlp")
            )
        sizes = self.sizes(space.shape[1:])
        stages, done, channels = [], 0, space.shape[0] + context_size(context, spatial=True)
        for level in range(levels):
            last = -(-(len(sizes) - 1) * (level + 1) // levels)
            layers: list[nn.Module] = [] if last > done else self.same(channels, channels := self.channels(done))
            for i in range(done, last):
                layers += self.halve(channels, self.channels(i + 1), sizes[i], sizes[i + 1])
                layers += self.drop()
                channels = self.channels(i + 1)
            done = last
            stages.append(Stage([*layers, *self.close(channels)], (channels, *sizes[done])))
        return nn.ModuleList(stages)

    def latent_shape(self, feature_shape: Shape, latent_dim: int, top: bool) -> Shape:
        """The shape of the latents of a level with such features: below the top they are maps."""
        return (latent_dim, *feature_shape[1:]) if self.spatial or not top else (latent_dim,)

    def top_down(self, latent_shape: Shape, start: Shape, target: Shape, context: Shape) -> nn.Module:
        """From the latents of a level whose features are `start`, and the context, to features `target` below."""
        sizes = _path(target[1:], start[1:])
        most = self.channels(len(sizes) + MOST_DOUBLINGS)
        return self._down(latent_shape, sizes, [min(target[0] * 2**i, most) for i in range(len(sizes))], context)

    def decoder(self, latent_shape: Shape, start: Shape, space: Space, context: Shape) -> nn.Module:
        """From z and the context to maps of the height and width of x: the way up, mirrored."""
        sizes = _path(space.shape[1:], start[1:])
        return self._down(latent_shape, sizes, [self.channels(i) for i in range(len(sizes))], context)

    def _down(self, latent_shape: Shape, sizes: list[Shape], channels: list[int], context: Shape) -> nn.Module:
        """sizes, channels: from the largest map to the smallest, where the latents come in."""
        spatial = len(latent_shape) == 3
        inputs, start = math.prod(latent_shape[:1]), (channels[-1], *sizes[-1])
        inputs = (inputs if spatial else math.prod(latent_shape)) + context_size(context, spatial)
        entry: nn.Module = nn.Conv2d(inputs, start[0], 1) if spatial else nn.Linear(inputs, math.prod(start))
        first = [entry, self.activate(), *([] if spatial else [nn.Unflatten(1, start)])]
        # a picture that is given is seen again at every resolution, so that what is in it need not pass through z
        again = context if len(context) == 3 else ()
        seen = context_size(again, spatial=True)
        blocks: list[list[nn.Module]] = []
        for i in range(len(sizes) - 1, 0, -1):
            doubled = self.double(channels[i] + (seen if blocks else 0), channels[i - 1], sizes[i], sizes[i - 1])
            blocks.append([*doubled, *self.drop()])
        blocks = blocks or [self.same(channels[0], channels[0])]
        blocks[0] = [*first, *blocks[0]]
        if seen:
            blocks.append([nn.Conv2d(channels[0] + seen, channels[0], 3, padding=1), self.activate()])
        blocks[-1] += self.close(channels[0])
        shape = (channels[0], *sizes[0])
        return RepeatedContext(blocks, shape) if seen else Stage([layer for block in blocks for layer in block], shape)

    def sizes(self, size: Shape) -> list[Shape]:
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

    def channels(self, halvings: int) -> int:
        return self.width * 2 ** min(max(halvings - 1, 0), MOST_DOUBLINGS)

    def activate(self) -> nn.Module:
        return ACTIVATIONS[self.activation]()

    def drop(self) -> list[nn.Module]:
        return [noise.Dropout2d(self.dropout)] if self.dropout else []

    def close(self, channels: int) -> list[nn.Module]:
        """Layers that end a stage."""
        return []

    def same(self, inputs: int, outputs: int) -> list[nn.Module]:
        """Layers that leave height and width as they are."""
        return [nn.Conv2d(inputs, outputs, 3, padding=1), self.activate()]

    @abstractmethod
    def halve(self, inputs: int, outputs: int, size: Shape, smaller: Shape) -> list[nn.Module]:
        """Layers from (N, inputs, *size) to (N, outputs, *smaller), smaller being half of size, rounded down."""

    @abstractmethod
    def double(self, inputs: int, outputs: int, size: Shape, larger: Shape) -> list[nn.Module]:
        """Layers from (N, inputs, *size) to (N, outputs, *larger), size being half of larger, rounded down."""
