"""The layer between features and the parameters of a distribution."""

import math

from torch import nn


def head(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> nn.Module:
    """A linear map from (N, *inputs) to (N, *outputs).

    A 1x1 convolution where both are maps of one height and width, else one linear layer over everything: flat and
    spatial latents, vectors and images are one case.
    """
    if len(inputs) == 3 and len(outputs) == 3 and inputs[1:] == outputs[1:]:
        return nn.Conv2d(inputs[0], outputs[0], 1)
    layers: list[nn.Module] = [nn.Flatten()] if len(inputs) > 1 else []
    layers += [nn.Linear(math.prod(inputs), math.prod(outputs))]
    layers += [nn.Unflatten(1, outputs)] if len(outputs) > 1 else []
    return nn.Sequential(*layers) if len(layers) > 1 else layers[0]
