"""The deterministic code of an autoencoder: all of q(z|x) at one point. It has no density, hence no KL and no ELBO."""

from typing import ClassVar

from torch import Tensor

from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.posteriors.posterior import Posterior


class PointMass:
    """N points in latent space, `mean` of shape (N, *latent_shape)."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = at_least_float32(mean)

    def sample(self, samples: int = 1) -> Tensor:
        """The points themselves, (samples, N, *latent_shape)."""
        return self.mean.expand(samples, *self.mean.shape)


class Delta(Posterior):
    """A code per example."""

    per_unit = 1
    provides: ClassVar[set[str]] = {"deterministic"}
    requires: ClassVar[dict[str, str]] = {
        "prior.fitted|objective.matches_prior": "a deterministic code lies wherever the encoder puts it, so only "
        "a prior that is fitted to the codes can be sampled, or one that they are held to: type prior=mixture",
    }

    def forward(self, parameters: Tensor) -> PointMass:
        """q for parameters (N, D, *rest): the codes."""
        return PointMass(parameters)
