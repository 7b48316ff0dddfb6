"""Stored examples -> batches on the device."""

import copy
import itertools
from collections import abc
from collections.abc import Callable, Iterable

import torch
from torch import Generator, Tensor

from vae_runner import noise
from vae_runner.data.space import Batch, Space
from vae_runner.data.splits import Split
from vae_runner.data.streamed import StreamedSplit


class Data:
    """Three splits of one space, and the way from a split to a batch.

    factor_names: of the columns of y, where y is (N, F). left_out: classes of which only test has examples.
    corruption: changes what the encoder sees of a batch. condition: fills in what the model is told besides.
    """

    def __init__(
        self,
        space: Space,
        train: Split,
        validation: Split,
        test: Split,
        *,
        binarize: str = "none",
        factor_names: list[str] | None = None,
        left_out: tuple[int, ...] = (),
    ) -> None:
        self.space = space
        self.train = train
        self.validation = validation
        self.test = test
        self.binarize = binarize
        self.factor_names = factor_names
        self.left_out = left_out
        self.corruption: Callable[[Batch], Batch] | None = None
        self.condition: Callable[[Batch], Batch] | None = None

    @property
    def first_factor(self) -> str | None:
        """The name of the first column of y; None where y is a class, or none."""
        if not self.space.factors:
            return None
        return self.factor_names[0] if self.factor_names else "factor 0"

    def to(self, device: torch.device | str) -> "Data":
        """The same data with all its examples on `device`."""
        moved = copy.copy(self)
        moved.train = self.train.to(device)
        moved.validation = self.validation.to(device)
        moved.test = self.test.to(device)
        return moved

    def batch(
        self, split: Split, indices: Tensor, generator: Generator | None = None, steps: int | None = None
    ) -> Batch:
        """The examples of `split` at `indices` (N,), on its device; those in memory without waiting for the device.

        x is float32, uint8 divided by 255. Stochastic binarisation draws afresh each time, from `generator` or
        else the global random state: each pixel is 1 with its grey level as
        probability (Salakhutdinov and Murray, 2008). steps: of sequences which
        are no longer, all that is made is the first so many.
        """
        x, y = split.take(indices)
        mask = split.mask(indices)
        if steps is not None:
            x, mask = x[:, :steps].contiguous(), None if mask is None else mask[:, :steps]
        return self._made(x, y, split.context(indices), mask, generator)

    def batches(
        self,
        split: Split,
        blocks: Iterable[Tensor],
        generator: Generator | None = None,
        steps: Iterable[int | None] = itertools.repeat(None),
    ) -> abc.Generator[Batch, None, None]:
        """The batch of each block of indices, as `batch` makes it. What lies on disk is read ahead of its turn."""
        if isinstance(split, StreamedSplit):
            for x, y, c in split.ahead(blocks):
                yield self._made(x, y, c, None, generator)
        else:
            for indices, of_block in zip(blocks, steps, strict=False):  # there is no end of the default
                yield self.batch(split, indices, generator, of_block)

    def _made(
        self, x: Tensor, y: Tensor | None, c: Tensor | None, mask: Tensor | None, generator: Generator | None
    ) -> Batch:
        if x.dtype == torch.uint8:
            x = x / 255
        if self.binarize == "threshold":
            x = x.gt_(0.5)
        elif self.binarize == "stochastic":
            # torch.bernoulli draws in double precision, at four times the cost
            x = noise.uniform(x.shape, device=x.device, generator=generator).lt_(x)
        batch = Batch(x=x, input=x, y=y, c=c, mask=mask)
        for change in (self.corruption, self.condition):
            batch = batch if change is None else change(batch)
        return batch
