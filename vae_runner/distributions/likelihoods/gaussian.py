"""Independent Gaussian values: log p(x|z) = -sum_d [ (x_d - m_d)^2 / (2 s_d^2) + log s_d + 1/2 log 2 pi ].

With a fixed scale s this is the squared error, weighed against the KL by 1 / (2 s^2); a learned shared one finds that
weight by maximum likelihood (sigma-VAE, Rybkin et al. 2021).
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from vae_runner import noise
from vae_runner.distributions.likelihoods.location_scale import LocationScale
from vae_runner.distributions.numerics import LOG_TWO_PI, sum_event, values


class IndependentGaussian:
    """N examples of independent values, `mean` (N, *shape) and `log_scale`, of the same shape or a scalar."""

    def __init__(self, mean: Tensor, log_scale: Tensor) -> None:
        self.mean = mean
        self.log_scale = log_scale

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x) in nats, (N,), of x (N, *shape)."""
        normaliser = self.log_scale + 0.5 * LOG_TWO_PI
        if self.log_scale.dim():
            error = ((x - self.mean) * (-self.log_scale).exp()).square()
            return -0.5 * sum_event(error, mask) - sum_event(normaliser, mask)
        # one scale for all: what is of as many numbers as x is one pass over them each way
        error = F.mse_loss(self.mean, x, reduction="none")
        precision = (-2 * self.log_scale).exp()
        return -0.5 * precision * sum_event(error, mask) - normaliser * values(error, mask)

    def sample(self) -> Tensor:
        return self.mean + self.log_scale.exp() * noise.normal_like(self.mean)


class Gaussian(LocationScale):
    """`scale` is the standard deviation."""

    option: ClassVar[str] = "gaussian"
    family: ClassVar[type] = IndependentGaussian
