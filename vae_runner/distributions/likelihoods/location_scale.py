"""What the Gaussian and the Laplace likelihood share: a mean per value, and a scale that is fixed or learned.

A learned scale can go to zero where the data is constant, and the density to infinity (Mattei and Frellsen 2018). So it
is bounded from below, softly, as by Rybkin et al. 2021: a scale that has come near the bound can still return.
"""

import math
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.likelihood import Likelihood
from vae_runner.distributions.numerics import at_least_float32
from vae_runner.settings import Range

LOWEST, HIGHEST = -5.0, 10.0


def bounded_scale(log_factor: Tensor) -> Tensor:
    """Keeps exp(log_factor) between 1/150 and 20,000; near 0 it is the identity to within 0.007."""
    return (LOWEST + F.softplus(log_factor - LOWEST)).clamp(max=HIGHEST)


class LocationScale(Likelihood):
    """A mean per value, with one `scale` for all (fixed, or shared and learned), or a learned one per value (pixel).

    scale: in the units of the data; the value where it is fixed, where it starts when it is learned.
    """

    supports: ClassVar[set[str]] = {"binary", "unit", "real"}
    fixes: ClassVar[dict[str, str]] = {}
    family: ClassVar[Any]
    log_scale: Tensor

    def __init__(
        self,
        space: Space,
        *,
        variance: Literal["fixed", "shared", "pixel"] = "fixed",
        scale: Annotated[float, Range(0, open_low=True)] = 0.1,
    ) -> None:
        super().__init__(space)
        self.variance = variance
        self.axis = 2 if space.sequence else 1  # means and factors lie side by side within a step, or as channels
        self.register_buffer("log_scale", torch.tensor(math.log(scale)), persistent=False)
        if variance == "shared":
            self.log_factor = nn.Parameter(torch.zeros(()))
        if variance == "pixel":
            shape = list(space.shape)
            shape[self.axis - 1] *= 2
            self.parameter_shape = tuple(shape)

    def forward(self, parameters: Tensor) -> Any:
        """px for means (N, *shape); with `variance=pixel` the logarithms of factors of `scale` follow along `axis`."""
        mean = at_least_float32(parameters)
        if self.variance == "fixed":
            return self.family(mean, self.log_scale)
        if self.variance == "shared":
            return self.family(mean, self.log_scale + bounded_scale(self.log_factor))
        mean, log_factor = mean.chunk(2, self.axis)
        return self.family(mean, self.log_scale + bounded_scale(log_factor))
