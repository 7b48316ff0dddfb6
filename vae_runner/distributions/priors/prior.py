"""What a prior family states and does."""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from vae_runner.data.space import Space


class Prior(nn.Module):
    """p(z|c) over latents of shape `latent_shape`.

    provides: what others may rely on. requires: what it relies on, and why.
    """

    provides: ClassVar[set[str]]
    requires: ClassVar[dict[str, str]] = {}

    def __init__(self, latent_shape: tuple[int, ...], context: tuple[int, ...] = ()) -> None:
        """context: the shape of the embedded condition, () without one."""
        super().__init__()
        self.latent_shape = tuple(latent_shape)
        self.context = tuple(context)

    def attach(self, space: Space, posterior: Any, encode: Callable[..., Any]) -> None:
        """Meets the model once it is built, for priors that look at it.

        encode: x (N, *shape), context=None -> q of the top level. Neither may be kept as a module of this one's own.
        """

    def forward(self, context: Tensor | None = None) -> Any:
        """p: `log_prob(z)` (*batch,) of z (*batch, *latent_shape), and `sample(n, temperature)` (n, *latent_shape).

        With a context (B, ...) that matters, p is over its B rows, and z is (S, B, *latent_shape).
        """
        raise NotImplementedError

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """n latents (n, *latent_shape), one for each row of a context; `temperature` scales the deviation."""
        return self(context).sample(n, temperature=temperature)
