"""Independent Laplace values: log p(x|z) = -sum_d [ |x_d - m_d| / s_d + log 2 s_d ].

With a fixed scale this is the absolute error: it forgives single large errors, which the Gaussian squares.
"""

import math
from typing import ClassVar

from torch import Tensor

from vae_runner import noise
from vae_runner.distributions.likelihoods.location_scale import LocationScale
from vae_runner.distributions.numerics import sum_event


class IndependentLaplace:
    """N examples of independent values, `mean` (N, *shape) and `log_scale`, of the same shape or a scalar."""

    def __init__(self, mean: Tensor, log_scale: Tensor) -> None:
        self.mean = mean
        self.log_scale = log_scale

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x) in nats, (N,), of x (N, *shape)."""
        error = ((x - self.mean) * (-self.log_scale).exp()).abs()
        normaliser = (self.log_scale + math.log(2)).expand_as(error)
        return -sum_event(error, mask) - sum_event(normaliser, mask)

    def sample(self) -> Tensor:
        """An exponential number of either sign."""
        magnitude = noise.exponential_like(self.mean)
        sign = noise.integers(2, magnitude.shape, dtype=magnitude.dtype, device=magnitude.device) * 2 - 1
        return self.mean + self.log_scale.exp() * magnitude * sign


class Laplace(LocationScale):
    """`scale` is the mean absolute error, 1 / sqrt(2) of the standard deviation."""

    option: ClassVar[str] = "laplace"
    family: ClassVar[type] = IndependentLaplace
