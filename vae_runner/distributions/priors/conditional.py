"""A learned conditional prior p(z|c) = N(z; m(c), diag(v(c))) (Sohn et al. 2015, equation 4).

It takes over what the condition says about z, so that q(z|x,c) need only add what x says besides.
"""

import math
from typing import Annotated, ClassVar

from torch import Tensor, nn

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, bounded
from vae_runner.distributions.priors.prior import Prior
from vae_runner.settings import Range


class Conditional(Prior):
    """A small network from the context to a Gaussian, which starts as the standard normal; the KL has a closed form."""

    provides: ClassVar[set[str]] = {"density", "factorised", "sample"}
    requires: ClassVar[dict[str, str]] = {
        "condition.condition": "it follows a condition, and there is none: type condition=label, or prior=normal",
    }

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: tuple[int, ...] = (),
        *,
        width: Annotated[int, Range(1, 65536)] = 128,
        depth: Annotated[int, Range(0, 64)] = 1,
    ) -> None:
        super().__init__(latent_shape, context)
        layers: list[nn.Module] = [nn.Flatten()]
        size = math.prod(context)
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.ReLU()]
            size = width
        last = nn.Linear(size, 2 * math.prod(latent_shape))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(*layers, last, nn.Unflatten(1, (2, *latent_shape)))

    def forward(self, context: Tensor | None = None) -> DiagonalGaussian:
        """p for contexts (B, *context)."""
        mean, log_variance = self.network(context).unbind(1)
        return DiagonalGaussian(mean, bounded(log_variance))

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """One latent for each of the n contexts, (n, *latent_shape)."""
        return self(context).sample(1, temperature).squeeze(0)
