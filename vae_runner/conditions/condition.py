"""What a condition states and does."""

from typing import ClassVar

from torch import Tensor, nn

from vae_runner.data.data import Data
from vae_runner.data.space import Batch, Space


class Condition(nn.Module):
    """c, from a batch or from a user, and its embedding: the context that encoder, prior and decoder are handed.

    shape: of an embedded context: (C,), or (C, H, W) for a picture.
    """

    provides: ClassVar[set[str]] = {"condition"}
    requires: ClassVar[dict[str, str]] = {}
    shape: tuple[int, ...]

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space

    def prepare(self, data: Data) -> None:
        """Looks at the training data once, before training."""

    def complete(self, batch: Batch) -> Batch:
        """The batch with its conditions c (B, ...), and a mask that leaves out what of x is given away by them."""
        raise NotImplementedError

    def forward(self, c: Tensor) -> Tensor:
        """The context (N, *shape) of conditions c (N, ...)."""
        raise NotImplementedError

    def parse(self, text: str) -> Tensor:
        """One condition (1, ...) as a user writes it. Raises UserError for what cannot be one."""
        raise NotImplementedError

    def remark(self, text: str) -> str:
        """What was done to the condition that a user wrote, where it had to be changed; else empty."""
        return ""

    def each(self) -> tuple[Tensor, list[str]] | None:
        """One of each kind of condition (K, ...), and their names, where there are few."""
        return None
