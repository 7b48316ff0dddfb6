"""Batches in memory that processes share, each read by two of them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vae_runner.data.rows import Rows

PARTS = 8  # of what is left one is read at a time, so that both end at about the same time

Read = Callable[[Tensor], Tensor]


class Slots:
    """Room for a number of batches of x; new memory for each batch would cost more than filling it.

    A batch is read from its front by a process of its own, and from its back by the one that waits for it, until they
    meet. Each writes down how far it is before it reads on, and looks how far the other is. Where both do so at once,
    some rows are read twice, to the same numbers; none is left out, for the one at the front goes on to where it last
    saw the other. So no lock is needed, which a process that is killed would keep.
    """

    def __init__(self, number: int, n: int, rows: Rows) -> None:
        """n: examples of a batch, as most have. There is no room for larger ones."""
        self.number, self.n, self.apart = number, n, rows.apart
        self.x = [torch.empty(n, *rows.shape, dtype=rows.dtype).share_memory_() for _ in range(number)]
        # of each: where the one at the front reads up to, and where the one at the back reads from
        self.front, self.back = (torch.zeros(number, dtype=torch.int64).share_memory_() for _ in range(2))

    def has_room_for(self, indices: Tensor) -> bool:
        return len(indices) <= self.n

    def begin(self, batch: int, n: int) -> None:
        """Before anything of it is read."""
        self.front[batch % self.number] = 0
        self.back[batch % self.number] = n

    def read_from_front(self, batch: int, indices: Tensor, read: Read) -> None:
        """What nobody has read from the back."""
        slot, start = batch % self.number, 0
        while left := max(int(self.back[slot]) - start, 0):
            end = start + self._part(left)
            self.front[slot] = end
            self.x[slot][start:end] = read(indices[start:end])
            start = end

    def read_from_back(self, batch: int, indices: Tensor, read: Read) -> None:
        """What nobody has read from the front, nor is reading."""
        slot, end = batch % self.number, len(indices)
        while left := max(end - int(self.front[slot]), 0):
            start = end - self._part(left)
            self.back[slot] = start
            self.x[slot][start:end] = read(indices[start:end])
            end = start

    def _part(self, left: int) -> int:
        """How many of these rows to read at once."""
        return math.ceil(left / PARTS) if self.apart else left

    def taken(self, batch: int, n: int) -> Tensor:
        """x (n, *shape), in memory of its own, once all of it is read."""
        return self.x[batch % self.number][:n].clone()
