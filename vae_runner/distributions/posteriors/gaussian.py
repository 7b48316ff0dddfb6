"""The diagonal Gaussian posterior of Kingma and Welling 2014: q(z|x) = N(z; mean(x), diag(exp(log_variance(x))))."""

from typing import ClassVar

from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, bounded
from vae_runner.distributions.posteriors.posterior import Posterior


class Gaussian(Posterior):
    """A mean and a bounded log-variance per latent dimension."""

    per_unit = 2
    provides: ClassVar[set[str]] = {
        "density",
        "divergence",
        "factorised",
        "reparameterised",
        "merge",
        "detachable",
        "pointwise",
    }

    def forward(self, parameters: Tensor) -> DiagonalGaussian:
        """q for parameters (N, 2 * D, *rest): means first, then log-variances."""
        mean, log_variance = parameters.chunk(2, dim=1)
        return DiagonalGaussian(mean, bounded(log_variance))
