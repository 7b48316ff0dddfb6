"""What a posterior family states and does."""

from typing import Any, ClassVar

from torch import Tensor, nn


class Posterior(nn.Module):
    """Turns the network's parameters into q(z|x,c).

    per_unit: parameters per latent dimension. provides: what others may rely on. requires: what it relies on, and why.
    on_sphere: whether codes have length one.
    """

    per_unit: int
    provides: ClassVar[set[str]]
    requires: ClassVar[dict[str, str]] = {}
    on_sphere: ClassVar[bool] = False

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent_shape = tuple(latent_shape)

    def forward(self, parameters: Tensor) -> Any:
        """q for parameters (N, per_unit * D, *rest) of latents (D, *rest).

        q has `mean` (N, D, *rest) and `sample(samples)` (samples, N, D, *rest); where there is a density, also
        `log_prob(z)` (samples, N) of such samples, and `kl_units(p)` (N, units), or None without a closed form.
        """
        raise NotImplementedError

    def choices(self) -> list[tuple[slice, Tensor]]:
        """The channels of codes that are one of a few vectors at each place: which, and those (K, channels).

        All other channels are free numbers. In the order of `kl_units`, behind the free ones, where that has units.
        """
        return []
