"""Pieces that the architectures share: activations, normalisations, and a stage that takes a context."""

from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "softplus"]
Normalisation = Literal["none", "batch", "layer"]

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
        return [nn.BatchNorm2d(channels) if spatial else nn.BatchNorm1d(channels)]
    # one group over all channels is layer normalisation of a map
    return [nn.GroupNorm(1, channels) if spatial else nn.LayerNorm(channels)]


def append_context(h: Tensor, context: Tensor | None) -> Tensor:
    """Joins a context (N, C) to features (N, F), or as constant channels to maps (N, F, H, W)."""
    if context is None:
        return h
    if h.dim() == 4:
        context = context[:, :, None, None].expand(-1, -1, *h.shape[2:])
    return torch.cat([h, context], 1)


class Stage(nn.Module):
    """Layers from features and a context to features of `.shape`, which the next stage or head is built from."""

    def __init__(self, layers: list[nn.Module], shape: tuple[int, ...]):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shape = shape

    def forward(self, h: Tensor, context: Tensor | None = None) -> Tensor:
        """h (N, *shape of the stage below), context (N, C) or None -> (N, *self.shape)."""
        return self.layers(append_context(h, context))
