"""The uniform prior over whatever codes the posterior can make: nothing to learn, and a KL in closed form.

Every sequence of codes of `quantized`, every class of `categorical`, every direction of a hypersphere; where a part of
the latents is unbounded, as in `joint`, that part is standard normal.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.distributions.priors.prior import Prior


class Uniform(Prior):
    """p(z) is what the posterior calls uniform."""

    provides: ClassVar[set[str]] = {"density", "sample", "over_codes"}
    requires: ClassVar[dict[str, str]] = {
        "posterior.uniform": "its codes fill an unbounded space, over which nothing is uniform: type prior=normal",
    }

    def attach(self, space: Space, posterior: Any, encode: Callable[..., Any]) -> None:
        self.of_posterior = posterior.uniform

    def forward(self, context: Tensor | None = None) -> Any:
        return self.of_posterior()
