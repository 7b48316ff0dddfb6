"""Maps from examples to features: a small classifier, and principal components."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import finite

WIDTH = 64  # features, and channels of the later convolutions
STEM = 32  # channels of the first convolution
HIDDEN = 256  # units of the first layer of the fully connected network
SMALL = 4  # side from which on maps are not halved
BLOCK = 500  # examples at a time


class Features(nn.Module):
    """A map from examples to features; it has no gradients, and stays in evaluation mode once trained.

    name: says which features they are. accuracy: of its task on examples that it was not trained on, None where it has
    no task. dimensions: D.
    """

    name: str
    accuracy: float | None = None
    dimensions: int

    def features(self, x: Tensor) -> Tensor:
        """x (N, *shape), as stored or in float, -> (N, D), on the device of the module."""
        return self._by_blocks(self.hidden, x)

    def probabilities(self, x: Tensor) -> Tensor | None:
        """p(class|x), (N, C), of x (N, *shape); None for features that know no classes."""
        return None

    def hidden(self, x: Tensor) -> Tensor:
        """The features of one block of x (N, *shape), in float."""
        raise NotImplementedError

    @torch.no_grad()
    def _by_blocks(self, of: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        device = next(iter(self.state_dict().values())).device
        return torch.cat([of(values_of(part).to(device)) for part in x.split(BLOCK)])


class Network(Features):
    """A classifier of `outputs` classes of examples of `shape`; turns: whether these are turns and not the data's."""

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...], outputs: int, *, turns: bool = False) -> None:
        super().__init__()
        self.shape, self.outputs, self.turns = tuple(shape), outputs, turns
        image = len(shape) == 3
        self.body = _convolutions(self.shape) if image else _layers(math.prod(shape))
        self.head = nn.Linear(WIDTH, outputs)
        sizes = (shape[0], 1, 1) if image else tuple(shape)
        self.register_buffer("mean", torch.zeros(sizes))
        self.register_buffer("deviation", torch.ones(sizes))
        self.register_buffer("scale", torch.ones(()))
        self.dimensions = WIDTH
        network = "a convolutional network" if image else "a fully connected network"
        task = f"{outputs} {'turns' if turns else 'classes'} of this data"
        self.name = f"last hidden layer of {network} trained to tell {task}"

    @property
    def settings(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "outputs": self.outputs, "turns": self.turns}

    def hidden(self, x: Tensor) -> Tensor:
        return self._body(of_shape(x, self.shape)) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._body(x))

    def _body(self, x: Tensor) -> Tensor:
        return self.body((x - self.mean) / self.deviation)

    def probabilities(self, x: Tensor) -> Tensor | None:
        return None if self.turns else self._by_blocks(lambda part: self(of_shape(part, self.shape)).softmax(1), x)


class Components(Features):
    """Principal components of unit variance, as many as `components` of examples of `shape`: (x - mean) V / sqrt(l)."""

    mean: Tensor
    directions: Tensor

    def __init__(self, shape: tuple[int, ...], components: int) -> None:
        super().__init__()
        self.shape, self.dimensions = tuple(shape), components
        self.register_buffer("mean", torch.zeros(math.prod(shape)))
        self.register_buffer("directions", torch.zeros(math.prod(shape), components))
        self.name = f"{components} whitened principal components of this data"

    @property
    def settings(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "components": self.dimensions}

    def hidden(self, x: Tensor) -> Tensor:
        return (of_shape(x, self.shape).flatten(1) - self.mean) @ self.directions


def _convolutions(shape: tuple[int, ...]) -> nn.Sequential:
    """Halves maps to sides of about 4, then to a vector of features."""
    channels, *sides = shape
    layers: list[nn.Module] = []
    stride = 2 if min(sides) >= 4 * SMALL else 1
    outputs = STEM
    while True:
        layers += [nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        sides = [(side - 1) // stride + 1 for side in sides]
        channels, outputs, stride = outputs, WIDTH, 2
        if (min(sides) <= SMALL and len(layers) > 3) or min(sides) < 2:
            break
    # of long images the long side is still long
    rows, columns = (min(side, SMALL) for side in sides)
    if (rows, columns) != tuple(sides):
        layers.append(nn.AdaptiveAvgPool2d((rows, columns)))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * rows * columns, WIDTH), nn.ReLU())


def _layers(size: int) -> nn.Sequential:
    first = [nn.Flatten(), nn.Linear(size, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU()]
    return nn.Sequential(*first, nn.Linear(HIDDEN, WIDTH), nn.ReLU())


def values_of(x: Tensor) -> Tensor:
    """Examples as they are stored, as floats."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.float()


def of_shape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(x.shape[1:]) != shape:
        raise UserError(f"features: examples of the shape {tuple(x.shape[1:])}, and the features are of {shape}")
    return finite(x, "features: examples")


def frozen(features: Any) -> Any:
    return features.eval().requires_grad_(False)
