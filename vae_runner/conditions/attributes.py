"""Numbers that are known of an example: attributes, or any real-valued context (Yan et al. 2016, Attribute2Image)."""

import dataclasses
from typing import cast

import torch
from torch import Tensor

from vae_runner.conditions.condition import Condition
from vae_runner.data.data import Data
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError

BLOCK = 1000  # examples read at a time


class Attributes(Condition):
    """The conditions the data brings along (data.c), else its factors; each standardised by the training examples."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        if len(space.context) > 1 or not (space.context or space.factors):
            given = (
                "brings pictures along: type condition=image" if space.context else "has none: for arrays data.c=NAME"
            )
            raise UserError(f"condition=attributes: needs numbers beside each example, and this data {given}")
        self.shape = space.context or (space.factors,)
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("deviation", torch.ones(self.shape))

    def prepare(self, data: Data) -> None:
        indices = torch.arange(len(data.train), device=self.mean.device).split(BLOCK)
        part = data.train.context if self.space.context else data.train.targets
        # which are there: the constructor refuses data without them
        c = torch.cat([cast(Tensor, part(block)) for block in indices]).double()
        deviation = c.std(0, correction=0)
        self.mean.copy_(c.mean(0))
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1))

    def complete(self, batch: Batch) -> Batch:
        return dataclasses.replace(batch, c=self._of(batch))

    def _of(self, batch: Batch) -> Tensor:
        c = batch.c if self.space.context else batch.y
        assert c is not None
        return c.to(torch.float32)

    def forward(self, c: Tensor) -> Tensor:
        """Standardised rows (N, A) of attributes c (N, A)."""
        return (c - self.mean) / self.deviation

    def parse(self, text: str) -> Tensor:
        try:
            c = torch.tensor([[float(number) for number in text.split(",")]])
        except ValueError:
            c = torch.empty(1, 0)
        if c.shape[1:] != self.shape or not bool(c.isfinite().all()):
            raise UserError(f"label={text}: must be {self.shape[0]} numbers with commas between them")
        return c
