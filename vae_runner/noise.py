"""Noise that belongs to the examples of a batch: drawn for the whole of it, of which each process keeps its own.

So it is the same noise however many processes a batch is divided among, and their generators stay in step. Dimension
`examples` of the shape counts the examples, or k times the examples, k copies of the batch in a row. `how` is handed to
torch: dtype and device.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vae_runner import parts


def drawn(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...], examples: int = 0) -> Tensor:
    """Noise of that shape, by a function that draws noise of any shape."""
    if parts.current() is None:
        return draw(shape)
    return parts.own(draw(parts.whole_shape(shape, examples)), examples)


def normal(shape: tuple[int, ...], examples: int = 0, **how: Any) -> Tensor:
    """Standard normal."""
    return drawn(lambda whole: torch.randn(whole, **how), shape, examples)


def uniform(shape: tuple[int, ...], examples: int = 0, **how: Any) -> Tensor:
    """Uniform in [0, 1)."""
    return drawn(lambda whole: torch.rand(whole, **how), shape, examples)


def exponential(like: Tensor, shape: tuple[int, ...], examples: int = 0) -> Tensor:
    """Exponential with mean 1, of the kind of `like`; minus its logarithm is a Gumbel variable."""
    return drawn(lambda whole: like.new_empty(whole).exponential_(), shape, examples)


def normal_like(x: Tensor, examples: int = 0) -> Tensor:
    return normal(x.shape, examples, dtype=x.dtype, device=x.device)


def uniform_like(x: Tensor, examples: int = 0) -> Tensor:
    return uniform(x.shape, examples, dtype=x.dtype, device=x.device)


def exponential_like(x: Tensor, examples: int = 0) -> Tensor:
    return exponential(x, x.shape, examples)


def integers(high: int, shape: tuple[int, ...], examples: int = 0, **how: Any) -> Tensor:
    """0 to high - 1, each with the same chance."""
    return drawn(lambda whole: torch.randint(high, whole, **how), shape, examples)


class Dropout(nn.Dropout):
    """nn.Dropout, whose noise is of the whole batch."""

    def forward(self, h: Tensor) -> Tensor:
        if parts.current() is None or not self.training or not self.p:
            return super().forward(h)
        return h * drawn(lambda whole: super(Dropout, self).forward(_ones(h, whole)), tuple(h.shape))


class Dropout2d(nn.Dropout2d):
    """nn.Dropout2d, whose noise is of the whole batch."""

    def forward(self, h: Tensor) -> Tensor:
        if parts.current() is None or not self.training or not self.p:
            return super().forward(h)
        return h * drawn(lambda whole: super(Dropout2d, self).forward(h.new_ones(whole)), tuple(h.shape))


def _ones(h: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Ones whose dimensions lie in memory in the order of those of h, in which torch draws the noise of a dropout."""
    order = sorted(range(h.ndim), key=h.stride, reverse=True)
    ones = h.new_ones([shape[dimension] for dimension in order])
    return ones.permute([order.index(dimension) for dimension in range(h.ndim)])


def seed_generators(device: torch.device, seed: int) -> None:
    """`torch.manual_seed` of what draws for the device alone; without CUDA, that notes who called it, for 2 ms."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
