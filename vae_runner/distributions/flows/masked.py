"""Autoregressive networks by masks (Germain et al. 2015, MADE): output d sees the inputs before d, and a context."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedLinear(nn.Linear):
    """A linear layer without some of its connections: `seen` (outputs, inputs) is true for those that there are."""

    mask: Tensor

    def __init__(self, seen: Tensor) -> None:
        super().__init__(seen.shape[1], seen.shape[0])
        self.register_buffer("mask", seen.to(torch.float32), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.weight * self.mask, self.bias)


class MaskedNetwork(nn.Module):
    """Two hidden layers of `width` units, from z (..., size) and h (..., context) to two outputs (..., size)."""

    def __init__(self, size: int, context: int, width: int) -> None:
        super().__init__()
        position = torch.arange(size)
        degree = torch.arange(width) * size // width  # how many inputs, from the first, a hidden unit may see
        self.first = MaskedLinear(position < degree[:, None])
        self.context = nn.Linear(context, width, bias=False)
        self.second = MaskedLinear(degree <= degree[:, None])
        self.last = MaskedLinear((degree <= position[:, None]).repeat(2, 1))

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        hidden = F.elu(self.first(z) + self.context(h))
        return self.last(F.elu(self.second(hidden))).chunk(2, -1)
