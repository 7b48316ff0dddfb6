"""The standard normal prior of Kingma and Welling 2014: p(z) = N(z; 0, I), whatever the condition."""

from typing import ClassVar

import torch
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import StandardNormal
from vae_runner.distributions.priors.prior import Prior


class Normal(Prior):
    """Nothing to learn, and the closed-form KL against it is the cheapest there is."""

    provides: ClassVar[set[str]] = {"density", "factorised", "sample"}
    zeros: Tensor

    def __init__(self, latent_shape: tuple[int, ...], context: tuple[int, ...] = ()) -> None:
        super().__init__(latent_shape, context)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> StandardNormal:
        return StandardNormal(self.zeros)
