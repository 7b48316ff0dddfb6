"""Examples that stay on disk: a split of them, and what it is made of."""

import copy
import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from vae_runner.data.ahead import Stored, read_ahead
from vae_runner.data.memory import room
from vae_runner.data.rows import Rows, size_of
from vae_runner.data.splits import SUPPORTS, TensorSplit
from vae_runner.errors import UserError

BLOCK = 1024  # examples at a time, where all are looked at
FIRST = 64


class StreamedSplit:
    """Examples that are read from disk each time they are taken, with what each has besides as `TensorSplit` has it.

    c: conditions in memory, or on disk too. Indices lie on the CPU, whatever the device is that examples are taken to.
    workers: processes that read batches ahead; 0 reads each when it is its turn.
    """

    def __init__(self, x: Rows, y: Tensor | None = None, *, c: Rows | Tensor | None = None, workers: int = 0) -> None:
        self.x, self.y, self.c, self.workers = x, y, c, workers
        self.device = torch.device("cpu")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.x.read(indices.cpu()).to(self.device), self.targets(indices)

    def targets(self, indices: Tensor) -> Tensor | None:
        return None if self.y is None else self.y.index_select(0, indices.cpu()).to(self.device)

    def mask(self, indices: Tensor) -> None:
        return None

    def context(self, indices: Tensor) -> Tensor | None:
        if self.c is None:
            return None
        rows = self.c.index_select(0, indices.cpu()) if isinstance(self.c, Tensor) else self.c.read(indices.cpu())
        return rows.to(self.device)

    def subset(self, indices: Tensor) -> "StreamedSplit":
        part, indices = copy.copy(self), indices.cpu()
        part.x = self.x.subset(indices)
        part.y = None if self.y is None else self.y[indices]
        part.c = None if self.c is None else self.c[indices] if isinstance(self.c, Tensor) else self.c.subset(indices)
        return part

    def read(self) -> TensorSplit:
        """The same examples in memory, on the device. Raises UserError where they are too many for it."""
        if size_of(self.x) > room(self.device):
            raise UserError(
                f"{len(self)} examples of shape {self.shape} are needed in memory at once, which has no room for them; "
                f"lower data.limit, or data.labels where it is the labelled ones"
            )
        everything = torch.arange(len(self))
        x, y = self.take(everything)
        return TensorSplit(x, y, c=self.context(everything))

    def to(self, device: torch.device | str) -> "StreamedSplit":
        moved = copy.copy(self)
        moved.device = torch.device(device)
        return moved

    def blocks(self) -> Iterator[Tensor]:
        """x of all examples, block by block, on the CPU."""
        for stored in read_ahead(self.to("cpu"), torch.arange(len(self)).split(BLOCK)):
            yield stored[0]

    def ahead(self, blocks: Iterable[Tensor]) -> Iterator[Stored]:
        """x, y and c of each block of indices, on the device; the coming ones are read meanwhile."""
        return read_ahead(self, blocks)

    def support(self) -> str:
        # almost always the first examples already tell
        first = torch.arange(min(FIRST, len(self)))
        found = SUPPORTS[0]
        for x in itertools.chain([self.x.read(first)], self.blocks()):
            found = max(found, TensorSplit(x).support(), key=SUPPORTS.index)
            if found == ("unit" if x.dtype == torch.uint8 else "real"):
                break  # no other example can change it
        return found

    def first_not_finite(self, missing: bool = False) -> int | None:
        if self.x.dtype.itemsize == 1:
            return None
        before = 0
        for x in self.blocks():
            if (first := TensorSplit(x).first_not_finite(missing)) is not None:
                return before + first
            before += len(x)
        return None
