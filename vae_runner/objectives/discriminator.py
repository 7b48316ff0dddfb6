"""Networks that tell two kinds of examples apart, and what each side of that game minimises.

    discriminator: E_real[-log D] + E_fake[-log(1 - D)],  D = sigmoid(logit)
    generator:     E_fake[-log D]

Goodfellow et al. 2014; the generator's loss is the one of their section 3 that does not saturate: its gradient stays
where the discriminator wins. Left alone the two circle around each other; a penalty on the slope of the discriminator
where examples are real, E_real |d logit / dx|^2 / 2, lets them settle (R1, Mescheder et al. 2018). All in nats, means
over the batch.
"""

import math
from collections.abc import Callable
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner.settings import Range

Width = Annotated[int, Range(1, 65536)]
Depth = Annotated[int, Range(0, 64)]
Rate = Annotated[float, Range(0, 1000, open_low=True)]


def tell_apart(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's loss on logits of real examples (N,) and of fakes (M,), and its accuracy.

    The loss is log 4 and the accuracy, in which real and fake count the same, 0.5 where its verdicts are guesses.
    """
    with torch.no_grad():
        accuracy = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
    return F.softplus(-real).mean() + F.softplus(fake).mean(), accuracy


def pass_for_real(fake: Tensor) -> Tensor:
    """The generator's loss on logits of fakes (M,)."""
    return F.softplus(-fake).mean()


def slope(judge: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the mean squared gradient of the logits (N,) that `judge` gives real examples; in evaluation as well."""
    with torch.enable_grad():
        real = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(judge(real).sum(), real, create_graph=True)
    return gradient.square().sum() / (2 * len(real))


class Discriminator(nn.Module):
    """From vectors of `inputs` numbers through `depth` hidden layers of `width` units to a logit, above 0 for real."""

    def __init__(self, inputs: int, *, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.2)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Logits (N,) of z (N, inputs)."""
        return self.layers(z).squeeze(1)


class FeatureDiscriminator(nn.Module):
    """A discriminator of examples whose last hidden layer is a description of them.

    Images (C, H, W) go through convolutions, which halve them for as long as the shorter side stays at 4 or more;
    vectors (D,) through two layers. Normalising each example by itself keeps the features at one scale.
    """

    def __init__(self, shape: tuple[int, ...], *, width: int) -> None:
        super().__init__()
        inputs, *size = shape
        layers: list[nn.Module] = []
        if size:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.LeakyReLU(0.2)]
            inputs = width
            while min(size) >= 8:
                layers += [nn.Conv2d(inputs, 2 * inputs, 4, stride=2, padding=1), nn.GroupNorm(1, 2 * inputs)]
                layers += [nn.LeakyReLU(0.2)]
                inputs, size = 2 * inputs, [n // 2 for n in size]
        else:
            for _ in range(2):
                layers += [nn.Linear(inputs, width), nn.LayerNorm(width), nn.LeakyReLU(0.2)]
                inputs = width
        self.describe = nn.Sequential(*layers, nn.Flatten())
        self.judge = nn.Linear(inputs * math.prod(size), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, F) and logits (N,) of examples x (N, *shape)."""
        features = self.describe(x)
        return features, self.judge(features).squeeze(1)
