"""A Gaussian pushed through a flow: log q(z) = log q(z_0) - log |det dz/dz_0| (Rezende & Mohamed 2015, equation 5)."""

from collections.abc import Callable
from functools import cached_property

from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian


class Pushforward:
    """N distributions over latents, whose density is known only at the sample drawn last: no inverse is worth its cost.

    base: over flattened latents (N, D). flow: z_0 (S, N, D) -> z (S, N, D) and the log-determinant (S, N).
    """

    def __init__(
        self, base: DiagonalGaussian, flow: Callable[[Tensor], tuple[Tensor, Tensor]], latent_shape: tuple[int, ...]
    ) -> None:
        self.base, self.flow, self.latent_shape = base, flow, latent_shape
        self.drawn: Tensor | None = None

    @cached_property
    def mean(self) -> Tensor:
        """Where the flow takes the mean of the base, (N, *latent_shape); the mean itself has no closed form."""
        return self.flow(self.base.mean[None])[0][0].unflatten(-1, self.latent_shape)

    def sample(self, samples: int = 1) -> Tensor:
        """Reparameterised samples (samples, N, *latent_shape)."""
        noise = self.base.sample(samples)
        z, log_determinant = self.flow(noise)
        self.drawn = z.unflatten(-1, self.latent_shape)
        self.log_density = self.base.log_prob(noise) - log_determinant
        return self.drawn

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, (samples, N), of the z that `sample` gave last. Raises ValueError for any other."""
        if z is not self.drawn and not self._is_drawn(z):
            raise ValueError("the density of a flow posterior is known only at the sample that it has drawn last")
        return self.log_density

    def _is_drawn(self, z: Tensor) -> bool:
        return self.drawn is not None and z.shape == self.drawn.shape and z.data_ptr() == self.drawn.data_ptr()

    def kl_units(self, p: object) -> None:
        """No closed form."""
