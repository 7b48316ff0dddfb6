"""Examples as they are stored, in memory or on a device, and how they are taken from there."""

from typing import Protocol

import torch
from torch import Tensor

SUPPORTS = ("binary", "unit", "real")


class Examples(Protocol):
    """Examples that may still lie in files: which of them are wanted is decided before they are read."""

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor) -> "Examples":
        """The examples at `indices` (n,), in that order."""
        ...

    def read(self) -> "Split":
        """The same examples in memory."""
        ...


class Split(Examples, Protocol):
    """Examples in memory. `shape` is that of one example."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Copies of x as stored (n, *shape) and of y, or None; `indices` (n,) lie on the split's device."""
        ...

    def to(self, device: torch.device | str) -> "Split": ...

    def support(self) -> str:
        """Where the values lie: `binary` {0, 1}, `unit` [0, 1] or `real`; uint8 counts as divided by 255."""
        ...


class TensorSplit:
    """x (N, *shape), uint8 or float32, and y (N,) or (N, F) where there are labels."""

    def __init__(self, x: Tensor, y: Tensor | None = None) -> None:
        self.x = x
        self.y = y

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:])

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.x.index_select(0, indices), None if self.y is None else self.y.index_select(0, indices)

    def subset(self, indices: Tensor) -> "TensorSplit":
        return TensorSplit(*self.take(indices))

    def read(self) -> "TensorSplit":
        return self

    def to(self, device: torch.device | str) -> "TensorSplit":
        return TensorSplit(self.x.to(device), None if self.y is None else self.y.to(device))

    def support(self) -> str:
        # almost always the first examples already tell that values are not only the two extremes
        for x in (self.x[:64], self.x):
            high = 255 if x.dtype == torch.uint8 else 1
            if not bool(((x == 0) | (x == high)).all()):
                break
        else:
            return "binary"
        if self.x.dtype == torch.uint8:
            return "unit"
        low, top = self.x.aminmax()
        return "unit" if low >= 0 and top <= 1 else "real"

    def first_not_finite(self) -> int | None:
        """The first example that has a NaN or infinite value, or None."""
        if len(self) == 0 or not self.x.is_floating_point():
            return None
        # the extremes of values with a NaN are NaN: one pass and no copy, unless there is something to find
        if all(bool(extreme.isfinite()) for extreme in self.x.aminmax()):
            return None
        return int((~self.x.isfinite()).flatten(1).any(1).int().argmax())
