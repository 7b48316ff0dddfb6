"""Fully connected layers, as in Kingma & Welling 2014, appendix C."""

import math
from typing import Annotated

from torch import Tensor, nn

from vae_runner.architectures.layers import ACTIVATIONS, Activation, Normalisation, Stage, normalisation
from vae_runner.data.space import Space
from vae_runner.settings import Range


class FlatStage(Stage):
    """A stage whose input may be of any shape: it is flattened before the context is joined."""

    def forward(self, h: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(h.flatten(1), context)


class MLP:
    """`depth` hidden layers of `width` units from x to the features, and as many back from z; with none, linear."""

    def __init__(
        self,
        *,
        width: Annotated[int, Range(1, 65536)] = 400,
        depth: Annotated[int, Range(0, 64)] = 1,
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.0,
    ):
        self.width, self.depth, self.dropout = width, depth, dropout
        self.activation, self.normalisation = activation, normalisation

    def bottom_up(self, space: Space, levels: int, context: int) -> nn.ModuleList:
        """One stage per level; the first reads x and the context."""
        stages: list[Stage] = []
        for _ in range(levels):
            stages.append(self._stage(stages[-1].shape[0] if stages else space.size, context))
        return nn.ModuleList(stages)

    def latent_shape(self, feature_shape: tuple[int, ...], latent_dim: int) -> tuple[int, ...]:
        return (latent_dim,)

    def top_down(self, latent_shape: tuple[int, ...], target_shape: tuple[int, ...], context: int) -> Stage:
        """From z and the context to features; the target's shape is left to the head that follows."""
        return self._stage(math.prod(latent_shape), context)

    def _stage(self, inputs: int, context: int) -> Stage:
        layers: list[nn.Module] = []
        size = inputs + context
        for _ in range(self.depth):
            layers += [nn.Linear(size, self.width), *normalisation(self.normalisation, self.width, spatial=False)]
            layers += [ACTIVATIONS[self.activation]()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
            size = self.width
        return FlatStage(layers, (size,))
