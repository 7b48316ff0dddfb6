"""A batch in parts, each computed by a process of its own, and what the parts have to tell each other.

Process r has n_r of the N examples of a batch, one after the other, and the share w_r = n_r / N in its loss:

    loss = sum_r w_r loss_r,    gradient = sum_r w_r gradient_r

What is a mean over examples needs nothing besides. What is any other function of the whole batch is made of `total`,
`average` and `gathered`, whose gradients go back over the processes as well. In a process by itself, and outside of a
training step, there are no parts, and each of them hands back what it is given.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Examples `first` to `first + size` of the `whole`. add: replaces a tensor by its sum over the processes."""

    first: int
    size: int
    whole: int
    add: Callable[[Tensor], None]

    @classmethod
    def of(cls, whole: int, rank: int, processes: int, add: Callable[[Tensor], None]) -> "Part | None":
        """A process's part, to within one example as large as all others; None where some would have nothing."""
        if whole < processes:
            return None
        first, stop = (number * whole // processes for number in (rank, rank + 1))
        return cls(first, stop - first, whole, add)

    @property
    def share(self) -> float:
        return self.size / self.whole


_current: Part | None = None


def current() -> Part | None:
    """The part of the batch that this process has, where there are several."""
    return _current


@contextlib.contextmanager
def computing(part: Part | None) -> Iterator[None]:
    """Inside: this process computes that part of a batch; None: all there is, as it is known to every process."""
    global _current
    before, _current = _current, part
    try:
        yield
    finally:
        _current = before


class _Total(torch.autograd.Function):
    # the gradient of sum_r w_r loss_r in the total is sum_r w_r g_r; what goes back from here is weighed by w_r later
    @staticmethod
    def forward(ctx: Any, x: Tensor, part: Part) -> Tensor:
        ctx.part = part
        total = x.clone(memory_format=torch.contiguous_format)
        part.add(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        part = ctx.part
        return _Total.apply(gradient * part.share, part) / part.share, None


def total(sums: Tensor) -> Tensor:
    """The sum over all parts of what is a sum over the examples of each."""
    return sums if _current is None else _Total.apply(sums, _current)


def average(means: Tensor) -> Tensor:
    """The mean over the whole batch, from the means over the examples of each part."""
    return means if _current is None else total(means * _current.share)


def gathered(rows: Tensor) -> Tensor:
    """The rows of all examples (N, ...), from those of each part (n, ...)."""
    if _current is None:
        return rows
    part = _current
    before = rows.new_zeros(part.first, *rows.shape[1:])
    after = rows.new_zeros(part.whole - part.first - part.size, *rows.shape[1:])
    return total(torch.cat([before, rows, after]))


def own(rows: Tensor, examples: int = 0) -> Tensor:
    """What of the whole batch belongs to this process. Dimension `examples` counts N examples, or k times N of them."""
    if _current is None:
        return rows
    each = rows.unflatten(examples, (-1, _current.whole))
    return each.narrow(examples + 1, _current.first, _current.size).flatten(examples, examples + 1)


def whole_shape(shape: tuple[int, ...], examples: int = 0) -> tuple[int, ...]:
    """The shape that the whole batch has where a part has `shape`, whose dimension `examples` counts k times n."""
    if _current is None:
        return tuple(shape)
    size = shape[examples] // _current.size * _current.whole
    return (*shape[:examples], size, *shape[examples + 1 :])
