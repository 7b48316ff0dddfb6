"""Fully connected layers, as in Kingma & Welling 2014, appendix C."""

import math
from typing import Annotated

from torch import nn

from vae_runner import noise
from vae_runner.architectures.layers import (
    ACTIVATIONS,
    Activation,
    FlatStage,
    Normalisation,
    Shape,
    context_size,
    normalisation,
    refuse_tokens,
)
from vae_runner.data.space import Space
from vae_runner.settings import Range


class MLP:
    """`depth` hidden layers of `width` units from x to the features, and as many back from z; with none, linear."""

    def __init__(
        self,
        *,
        width: Annotated[int, Range(1, 65536)] = 400,
        depth: Annotated[int, Range(0, 64)] = 2,
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.0,
    ):
        self.width, self.depth, self.dropout = width, depth, dropout
        self.activation, self.normalisation = activation, normalisation

    def bottom_up(self, space: Space, levels: int, context: Shape) -> nn.ModuleList:
        """One stage per level; the first reads x and the context."""
        refuse_tokens("mlp", space)
        stages = [self._stage(space.size, context)]
        for _ in range(levels - 1):
            stages.append(self._stage(stages[-1].shape[0], ()))
        return nn.ModuleList(stages)

    def latent_shape(self, feature_shape: Shape, latent_dim: int, top: bool) -> Shape:
        """The shape of the latents of a level with such features; `top`: whether no level lies above it."""
        return (latent_dim,)

    def top_down(self, latent_shape: Shape, start: Shape, target: Shape, context: Shape) -> FlatStage:
        """From the latents of a level whose features are `start`, and the context, to features for the level below."""
        return self._stage(math.prod(latent_shape), context)

    def decoder(self, latent_shape: Shape, start: Shape, space: Space, context: Shape) -> FlatStage:
        """From z and the context to features; the shape of x is left to the head that follows."""
        return self._stage(math.prod(latent_shape), context)

    def _stage(self, inputs: int, context: Shape) -> FlatStage:
        layers: list[nn.Module] = []
        size = inputs + context_size(context, spatial=False)
        for _ in range(self.depth):
            layers += [nn.Linear(size, self.width), *normalisation(self.normalisation, self.width, spatial=False)]
            layers += [ACTIVATIONS[self.activation]()]
            layers += [noise.Dropout(self.dropout)] if self.dropout else []
            size = self.width
        return FlatStage(layers, (size,))
