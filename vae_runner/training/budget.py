"""How long a run is and when something is due: arithmetic on the step count alone, so that a resumed run agrees."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.training.buckets import Buckets
from vae_runner.training.seeds import derived

VALIDATIONS = 20  # a run without an interval of its own is validated about this often


@dataclass(frozen=True)
class Block:
    """The examples of a step. indices: (N,). steps: what sequences are padded to; None: to the longest of all."""

    indices: Tensor
    steps: int | None = None


@dataclass(frozen=True)
class Budget:
    """examples: of the training split. steps: of the whole run."""

    examples: int
    batch_size: int
    steps: int

    @classmethod
    def of(cls, examples: int, batch_size: int, epochs: int | None, steps: int | None, default_steps: int) -> "Budget":
        """The shorter of `epochs` and `steps`; without either, whole epochs closest to `default_steps`."""
        epoch = steps_per_epoch(examples, batch_size)
        if epochs is None and steps is None:
            epochs = max(1, round(default_steps / epoch))
        limits = [n for n in (None if epochs is None else epochs * epoch, steps) if n is not None]
        return cls(examples, batch_size, min(limits))

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(self.examples, self.batch_size)

    @property
    def epochs(self) -> float:
        return self.steps / self.steps_per_epoch

    def interval(self, epochs: int | None, steps: int | None) -> int:
        """An interval in steps; where neither is given, whole epochs so that about `VALIDATIONS` fit into the run."""
        if steps is not None:
            return steps
        if epochs is None:
            epochs = max(1, math.ceil(self.epochs / VALIDATIONS))
        return epochs * self.steps_per_epoch

    def order(self, seed: int, epoch: int, buckets: Buckets | None = None) -> Tensor:
        """The order of the examples in an epoch: given by seed and epoch, so that position is arithmetic."""
        generator = torch.Generator().manual_seed(derived(seed, "order", epoch))
        order = torch.randperm(self.examples, generator=generator)
        return order if buckets is None else buckets.arrange(order, self.batch_size, generator)

    def size(self, step: int) -> int:
        """How many examples a step is of."""
        position = step % self.steps_per_epoch
        return min(self.batch_size, self.examples - position * self.batch_size)

    def blocks(
        self, seed: int, start: int, device: torch.device | str, buckets: Buckets | None = None
    ) -> Iterator[Block]:
        """The examples of each step from `start` on, batch_size of them or fewer at the end of an epoch."""
        in_epoch = self.steps_per_epoch
        for step in range(start, self.steps):
            epoch, position = divmod(step, in_epoch)
            if position == 0 or step == start:
                order = self.order(seed, epoch, buckets)
                there = order.to(device)
            place = slice(position * self.batch_size, (position + 1) * self.batch_size)
            yield Block(there[place], None if buckets is None else buckets.steps(order[place]))


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """The last, shorter batch counts, unless it is of one example: batch normalisation has no variance for it."""
    whole, rest = divmod(examples, batch_size)
    return max(1, whole + (rest > 1))
