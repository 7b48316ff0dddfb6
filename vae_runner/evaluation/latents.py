"""How the latents are used: active units."""

import torch
from torch import Tensor

ACTIVE = 0.01  # variance of the posterior mean over examples above which a unit is active (Burda et al. 2016, 5.2)


class Moments:
    """Running mean and variance over the first dimension, in double precision, merged batch by batch (Chan et al.)."""

    def __init__(self) -> None:
        self.n: Tensor | float = 0.0
        self.mean: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, values: Tensor, there: Tensor | None = None) -> None:
        """Counts values (B, *shape). there: 1 for those that count and 0 for others, to be broadcast over values."""
        values = values.double()
        counts = torch.ones_like(values) if there is None else there.to(values).expand_as(values)
        n = counts.sum(0)
        mean = (counts * values).sum(0) / n.clamp_min(1)
        squares = (counts * (values - mean).square()).sum(0)
        total = self.n + n
        delta, share = mean - self.mean, n / total.clamp_min(1)
        self.squares = self.squares + squares + delta.square() * self.n * share
        self.mean = self.mean + delta * share
        self.n = total

    def variance(self) -> Tensor:
        """The unbiased variance of each column, (*shape)."""
        return torch.as_tensor(self.squares) / (torch.as_tensor(self.n) - 1).clamp_min(1)

    def unit_variance(self) -> Tensor:
        """The unbiased variance of each unit (D,) of values (B, D, *positions), taken at each position.

        It is the mean over positions, each counted by the examples that have it, less one.
        """
        squares, n = torch.as_tensor(self.squares), torch.as_tensor(self.n)
        squares, free = (part.reshape(len(part), -1).sum(1) for part in (squares, (n - 1).clamp_min(0)))
        return squares / free.clamp_min(1)
