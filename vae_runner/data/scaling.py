"""Values brought to a range, or to mean 0 and deviation 1, as the training examples tell."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

Blocks = Callable[[], Iterable[Tensor]]


@dataclass(frozen=True)
class Scaling:
    """x -> (x - shift) / width in float32, in [0, 1] where that is to `clip`."""

    shift: Tensor
    width: Tensor
    clip: bool

    def __call__(self, x: Tensor) -> Tensor:
        x = ((_values(x) - self.shift) / self.width).to(torch.float32)
        return x.clamp_(0, 1) if self.clip else x


def unit(blocks: Blocks) -> Scaling:
    """Takes the least and the greatest value to 0 and 1. blocks: gives all examples (n, *shape), NaN where unknown."""
    low = high = None
    for x in map(_values, blocks()):
        least, most = x.nan_to_num(torch.inf).amin(_axes(x), True), x.nan_to_num(-torch.inf).amax(_axes(x), True)
        low = least if low is None else torch.minimum(low, least)
        high = most if high is None else torch.maximum(high, most)
    assert low is not None
    assert high is not None
    return Scaling(low, _nonzero(high - low), clip=True)


def standardize(blocks: Blocks) -> Scaling:
    """Takes mean and deviation to 0 and 1, in two passes. blocks: as for `unit`."""

    def mean(of: Callable[[Tensor], Tensor]) -> Tensor:
        total, count = torch.zeros(()), torch.zeros(())
        for x in map(_values, blocks()):
            total = total + of(x.double()).nansum(_axes(x), True)
            count = count + (~x.isnan()).sum(_axes(x), True)
        return total / count

    shift = mean(lambda x: x)
    return Scaling(shift, _nonzero(mean(lambda x: (x - shift).square()).sqrt()), clip=False)


def _axes(x: Tensor) -> tuple[int, ...]:
    """The columns of a table have units of their own, the pixels of an image share one."""
    return (0,) if x.ndim == 2 else tuple(range(x.ndim))


def _nonzero(width: Tensor) -> Tensor:
    return torch.where(width > 0, width, 1)


def _values(x: Tensor) -> Tensor:
    return x.to(torch.float32) / 255 if x.dtype == torch.uint8 else x
