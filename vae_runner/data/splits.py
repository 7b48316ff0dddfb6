"""Examples as they are stored, and how they are taken from there: in memory, on a device or on disk."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

MIXED = 0x0DDBA11  # the seed of an order that nothing else shares
SUPPORTS = ("binary", "unit", "real", "categorical")


def mixed(n: int) -> Tensor:
    """The numbers of n examples (n,) in an order that is always the same, and by chance.

    The first of them are a sample of all, where the first examples as they are stored may be those of one class.
    """
    return torch.randperm(n, generator=torch.Generator().manual_seed(MIXED))


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
    """Examples that batches can be taken from. `shape` is that of one example."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Copies of x as stored (n, *shape) and of y, or None; `indices` (n,) lie where the examples do."""
        ...

    def targets(self, indices: Tensor) -> Tensor | None:
        """y alone, for which x need not be read."""
        ...

    def mask(self, indices: Tensor) -> Tensor | None:
        """1 where x counts, to be broadcast to it, where examples differ in length."""
        ...

    def context(self, indices: Tensor) -> Tensor | None:
        """The conditions (n, ...) that the data brings along, if any."""
        ...

    def to(self, device: torch.device | str) -> "Split": ...

    def support(self) -> str:
        """Where the values lie: `binary` {0, 1}, `unit` [0, 1], `real`, or `categorical` for tokens.

        uint8 counts as divided by 255.
        """
        ...


class TensorSplit:
    """x (N, *shape), uint8, float32, or int64 tokens, with what each example has besides.

    y: labels (N,) or factors (N, F), int64, or float32 where real-valued.
    lengths: of sequences (N,), whose rest is padding. c: conditions (N, ...).
    """

    def __init__(
        self, x: Tensor, y: Tensor | None = None, *, lengths: Tensor | None = None, c: Tensor | None = None
    ) -> None:
        self.x, self.y, self.lengths, self.c = x, y, lengths, c

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:])

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.x.index_select(0, indices), self.targets(indices)

    def targets(self, indices: Tensor) -> Tensor | None:
        return None if self.y is None else self.y.index_select(0, indices)

    def mask(self, indices: Tensor) -> Tensor | None:
        if self.lengths is None:
            return None
        steps = torch.arange(self.x.shape[1], device=self.x.device)
        mask = (steps < self.lengths.index_select(0, indices)[:, None]).to(torch.float32)
        return mask.view(*mask.shape, *[1] * (self.x.ndim - 2))

    def context(self, indices: Tensor) -> Tensor | None:
        return None if self.c is None else self.c.index_select(0, indices)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "TensorSplit":
        y, lengths, c = (None if part is None else change(part) for part in (self.y, self.lengths, self.c))
        return TensorSplit(change(self.x), y, lengths=lengths, c=c)

    def subset(self, indices: Tensor) -> "TensorSplit":
        return self._map(lambda part: part.index_select(0, indices))

    def read(self) -> "TensorSplit":
        return self

    def to(self, device: torch.device | str) -> "TensorSplit":
        return self._map(lambda part: part.to(device))

    def support(self) -> str:
        if self.x.dtype == torch.int64:
            return "categorical"
        # almost always the first examples already tell that values are not only the two extremes
        for x in (self.x[:64], self.x):
            high = 255 if x.dtype == torch.uint8 else 1
            if not bool(((x == 0) | (x == high) | x.isnan()).all()):
                break
        else:
            return "binary"
        if self.x.dtype == torch.uint8:
            return "unit"
        low, top = self.x.nan_to_num(0.0).aminmax()
        return "unit" if low >= 0 and top <= 1 else "real"

    def first_not_finite(self, missing: bool = False) -> int | None:
        """The first example that has an infinite value or, unless they stand for `missing` values, a NaN; or None."""
        if len(self) == 0 or not self.x.is_floating_point():
            return None
        # the extremes of values with a NaN are NaN: one pass and no copy, unless there is something to find
        if all(bool(extreme.isfinite()) for extreme in self.x.aminmax()):
            return None
        wrong = self.x.isinf() if missing else ~self.x.isfinite()
        bad = wrong.flatten(1).any(1)
        return int(bad.int().argmax()) if bool(bad.any()) else None
