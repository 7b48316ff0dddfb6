"""What posteriors over finite sets of codes share."""

from collections.abc import Callable

from torch import Tensor

from vae_runner.errors import UserError


def blocks(latent_dim: int, size: int, setting: str) -> int:
    """How many blocks of `size` make up latent_dim. Raises UserError, naming the `setting`, where they do not fit."""
    if latent_dim % size:
        fitting = -(-latent_dim // size) * size
        raise UserError(f"latent_dim={latent_dim}: must be a multiple of {setting}={size}: type latent_dim={fitting}")
    return latent_dim // size


class UniformCodes:
    """Each of exp(log_count) codes has the same chance; `draw(n)` -> n of them, (n, *latent_shape)."""

    def __init__(self, latent_shape: tuple[int, ...], log_count: float, draw: Callable[[int], Tensor]) -> None:
        self.latent_shape, self.log_count, self.draw = latent_shape, log_count, draw

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (*batch,), of codes z (*batch, *latent_shape)."""
        return z.new_full(z.shape[: z.ndim - len(self.latent_shape)], -self.log_count)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """Samples (n, *latent_shape); what is uniform is so at every temperature."""
        return self.draw(n)
