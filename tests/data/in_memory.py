"""A source whose examples are handed in, for tests of what all sources share."""

import torch
from torch import Tensor

from vae_runner.data.source import Source, Stored
from vae_runner.data.splits import TensorSplit


class InMemory(Source):
    def __init__(
        self,
        x: Tensor,
        y: Tensor | None = None,
        own: dict[str, Tensor] | None = None,
        classes: int | None = None,
        **common,
    ) -> None:
        super().__init__(**common)
        self.classes = classes
        self.x = x
        self.y = y
        self.own = own or {}

    def load(self) -> Stored:
        own = {name: TensorSplit(x) for name, x in self.own.items()}
        return Stored(train=TensorSplit(self.x, self.y), classes=self.classes, **own)


def numbered(n: int) -> Tensor:
    """Examples (n, 1) that are their own place, scaled into [0, 1]."""
    return torch.arange(n, dtype=torch.float32)[:, None] / n


def everything(split) -> Tensor:
    return split.take(torch.arange(len(split)))[0]
