"""Pieces that the architectures share: activations, normalisations, and a stage that takes a context."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner.architectures.batch_norm import BatchNorm1d, BatchNorm2d
from vae_runner.data.space import Space
from vae_runner.errors import UserError

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "softplus"]
Normalisation = Literal["none", "batch", "layer"]
Shape = tuple[int, ...]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


def normalisation(kind: str, channels: int, spatial: bool) -> list[nn.Module]:
    """No layer or one layer that normalises `channels` features, or channels of maps where `spatial`."""
    if kind == "none":
        return []
    if kind == "batch":
        return [BatchNorm2d(channels) if spatial else BatchNorm1d(channels)]
    # one group over all channels is layer normalisation of a map
    return [nn.GroupNorm(1, channels) if spatial else nn.LayerNorm(channels)]


def context_size(context: Shape, spatial: bool) -> int:
    """How many features `append_context` adds; channels where `spatial`. No context is ()."""
    if not context:
        return 0
    return context[0] if spatial else math.prod(context)


def append_context(h: Tensor, context: Tensor | None) -> Tensor:
    """Joins a context to features (N, F) or maps (N, F, H, W).

    A vector (N, C) becomes constant channels of maps; an image (N, C, H', W') is resized to them, or flattened.
    """
    if context is None:
        return h
    if h.dim() != 4:
        context = context.flatten(1)
    elif context.dim() != 4:
        context = context[:, :, None, None].expand(-1, -1, *h.shape[2:])
    elif context.shape[2:] != h.shape[2:]:
        context = F.adaptive_avg_pool2d(context, (h.shape[2], h.shape[3]))
    return torch.cat([h, context], 1)


def refuse_tokens(architecture: str, space: Space) -> None:
    """Raises UserError for text, whose tokens are names and not numbers to compute with."""
    if space.support == "categorical":
        raise UserError(f"architecture={architecture} reads numbers, this data has tokens: type architecture=recurrent")


class Stage(nn.Module):
    """Layers from features and a context to features of `.shape`, which the next stage or head is built from."""

    def __init__(self, layers: list[nn.Module], shape: Shape):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shape = shape

    def forward(self, h: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """h (N, *shape of the stage below), context (N, ...) or None -> (N, *self.shape).

        mask: 1 where the values of x count, for stages that read sequences of different lengths.
        """
        return self.layers(append_context(h, context))


class FlatStage(Stage):
    """A stage whose input may be of any shape: it is flattened before the context is joined."""

    def forward(self, h: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return super().forward(h.flatten(1), context)
