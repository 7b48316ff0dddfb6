"""Categorical latents by the Gumbel-softmax (Jang et al. 2017; Maddison et al. 2017): see `one_hots`."""

from typing import Annotated, ClassVar

import torch
from torch import Tensor

from vae_runner.distributions.codes import UniformCodes, blocks
from vae_runner.distributions.one_hots import OneHots, choices_of, uniform_one_hots
from vae_runner.distributions.posteriors.posterior import Posterior
from vae_runner.settings import Range


class Categorical(Posterior):
    """Latents (D, *rest) are D / classes variables at each place of the rest.

    Relaxed in training; one-hots, drawn from the categorical itself, outside of it.

    Raises UserError where D is not a multiple of classes.
    """

    per_unit = 1
    provides: ClassVar[set[str]] = {"density", "divergence", "reparameterised", "pointwise", "uniform"}
    requires: ClassVar[dict[str, str]] = {
        "prior.over_codes": "its codes are one-hots, where a density over vectors means nothing: type prior=uniform",
    }
    zero: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        classes: Annotated[int, Range(2, 65536)] = 10,
        temperature: Annotated[float, Range(0, 100, open_low=True)] = 0.5,
        hard: bool = False,
    ) -> None:
        super().__init__(latent_shape)
        blocks(latent_shape[0], classes, "posterior.classes")
        self.classes, self.temperature, self.hard = classes, temperature, hard
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, parameters: Tensor) -> OneHots:
        """q for parameters (N, D, *rest): logits."""
        return OneHots(parameters, self.classes, self.temperature if self.training else None, self.hard)

    def choices(self) -> list[tuple[slice, Tensor]]:
        """The one-hots of each variable."""
        return choices_of(0, self.latent_shape[0], self.classes, self.zero)

    def uniform(self) -> UniformCodes:
        """Every class of every variable with the same chance."""
        return uniform_one_hots(self.latent_shape, self.classes, self.zero)
