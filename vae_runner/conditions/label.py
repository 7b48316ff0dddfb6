"""The class of an example, as a one-hot vector (Sohn et al. 2015)."""

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from vae_runner.conditions.condition import Condition
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError


class Label(Condition):
    """One unit per class; all are zero where the label is hidden."""

    provides: ClassVar[set[str]] = {"condition", "one_hot"}

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        if space.classes is None:
            raise UserError("condition=label: this data has no class labels; type condition=none, or other data")
        self.classes = space.classes
        self.shape = (space.classes,)

    def complete(self, batch: Batch) -> Batch:
        return dataclasses.replace(batch, c=batch.y)

    def forward(self, c: Tensor) -> Tensor:
        """One-hot rows (N, classes) of labels c (N,)."""
        return (c[:, None] == torch.arange(self.classes, device=c.device)).to(torch.float32)

    def parse(self, text: str) -> Tensor:
        if not text.strip().isdigit() or int(text) >= self.classes:
            raise UserError(f"label={text}: must be a class from 0 to {self.classes - 1}")
        return torch.tensor([int(text)])

    def each(self) -> tuple[Tensor, list[str]]:
        return torch.arange(self.classes), [str(label) for label in range(self.classes)]
