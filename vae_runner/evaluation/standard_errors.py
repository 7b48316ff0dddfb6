"""How far figures of so many examples may be from those of all there could be."""

import math

from torch import Tensor


def of_mean(values: Tensor) -> float:
    """The standard error of the mean of independent values (N,), N >= 2."""
    return float(values.std() / math.sqrt(len(values)))


def of_share(share: float, n: int) -> float:
    """That of a share of n independent examples, such as an accuracy: sqrt(p (1 - p) / n)."""
    return math.sqrt(share * (1 - share) / n)
