"""The layer between features and the parameters of a distribution."""

import math

from torch import Tensor, nn


def head(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> nn.Module:
    """A linear map from (N, *inputs) to (N, *outputs): flat and spatial latents, vectors and images are one case.

    Maps to maps of one height and width, (C, H, W) to (D, H, W), go position by position; the features of a sequence,
    (T, F), go step by step to another sequence (T, D), or to the rows of images (C, T, W); everything else is one
    linear layer over all values.
    """
    if len(inputs) == 3 and len(outputs) == 3 and inputs[1:] == outputs[1:]:
        return nn.Conv2d(inputs[0], outputs[0], 1)
    if len(inputs) == 2 and len(outputs) == 2 and inputs[0] == outputs[0]:
        return nn.Linear(inputs[1], outputs[1])
    if len(inputs) == 2 and len(outputs) == 3 and inputs[0] == outputs[1]:
        return Rows(inputs[1], outputs[0], outputs[2])
    layers: list[nn.Module] = [nn.Flatten()] if len(inputs) > 1 else []
    layers += [nn.Linear(math.prod(inputs), math.prod(outputs))]
    layers += [nn.Unflatten(1, outputs)] if len(outputs) > 1 else []
    return nn.Sequential(*layers) if len(layers) > 1 else layers[0]


class Rows(nn.Module):
    """Features of steps (N, T, F) to images (N, channels, T, width): a step is a row. T may be any."""

    def __init__(self, features: int, channels: int, width: int):
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(features, channels * width)

    def forward(self, h: Tensor) -> Tensor:
        return self.linear(h).unflatten(2, (self.channels, -1)).transpose(1, 2)
