"""The class of an example, as a one-hot vector (Sohn et al. 2015).

The vector is sqrt(classes) long: the mean square of a unit is then 1, as that of a unit of z under the prior, beside
which a label of length 1 would be drowned where both enter the decoder.
"""

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from vae_runner.conditions.condition import Condition
from vae_runner.data.space import Batch, Space, without_classes
from vae_runner.errors import UserError

SHOWN = 10  # class names in a message, at most


class Label(Condition):
    """One unit per class; all are zero where the label is hidden."""

    provides: ClassVar[set[str]] = {"condition", "one_hot"}
    option: ClassVar[str] = "label"

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        if space.classes is None:
            raise UserError(
                f"condition={self.option}: this data {without_classes(space.real_factors)}; "
                f"type condition={'attributes' if space.real_factors else 'none'}, or other data"
            )
        self.classes = space.classes
        self.names = [*space.class_names] or [str(label) for label in range(space.classes)]
        self.shape = (space.classes,)

    def complete(self, batch: Batch) -> Batch:
        return dataclasses.replace(batch, c=batch.y)

    def forward(self, c: Tensor) -> Tensor:
        """The context (N, classes) of labels c (N,)."""
        return math.sqrt(self.classes) * self.one_hot(c)

    def one_hot(self, c: Tensor) -> Tensor:
        """Rows (N, classes) of labels c (N,), 1 for the class."""
        return (c[:, None] == torch.arange(self.classes, device=c.device)).to(torch.float32)

    def parse(self, text: str) -> Tensor:
        if text.strip() not in self.names:
            some = ", ".join(self.names[:SHOWN]) + (", ..." if self.classes > SHOWN else "")
            raise UserError(f"label={text}: must be one of {some}")
        return torch.tensor([self.names.index(text.strip())])

    def each(self) -> tuple[Tensor, list[str]]:
        return torch.arange(self.classes), self.names
