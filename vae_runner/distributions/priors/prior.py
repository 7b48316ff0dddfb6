"""What a prior family states and does."""

from typing import Any, ClassVar

from torch import Tensor, nn


class Prior(nn.Module):
    """p(z|c) over latents of shape `latent_shape`.

    provides: what others may rely on. requires: what it relies on, and why.
    """

    provides: ClassVar[set[str]]
    requires: ClassVar[dict[str, str]] = {}

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent_shape = tuple(latent_shape)

    def forward(self, context: Tensor | None = None) -> Any:
        """p: `log_prob(z)` (*batch,) of z (*batch, *latent_shape), and `sample(n, temperature)` (n, *latent_shape)."""
        raise NotImplementedError
