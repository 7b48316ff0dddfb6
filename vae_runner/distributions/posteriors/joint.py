"""The posterior of JointVAE (Dupont 2018): Gaussian dimensions and categorical variables beside each other.

q(z, c|x) = q(z|x) q(c|x): styles that vary smoothly, and kinds that do not. The prior is N(0, I) times the uniform.
"""

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from vae_runner.distributions.codes import UniformCodes
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal, bounded
from vae_runner.distributions.one_hots import OneHots, choices_of, uniform_one_hots
from vae_runner.distributions.posteriors.posterior import Posterior
from vae_runner.errors import UserError
from vae_runner.settings import Range


class Product:
    """Two independent distributions side by side: the first `size` channels of z, and the rest of them.

    axis: of the channels of z, counted from the last dimension.
    """

    def __init__(self, first: Any, second: Any, size: int, axis: int) -> None:
        self.first, self.second, self.size, self.axis = first, second, size, axis

    def __getitem__(self, examples: slice) -> "Product":
        """Those of some of the N examples."""
        return Product(self.first[examples], self.second[examples], self.size, self.axis)

    @property
    def mean(self) -> Tensor:
        return torch.cat([self.first.mean, self.second.mean], self.axis)

    def sample(self, *given: Any, **more: Any) -> Tensor:
        """Of both, whatever they are asked for."""
        return torch.cat([self.first.sample(*given, **more), self.second.sample(*given, **more)], self.axis)

    def log_prob(self, z: Tensor) -> Tensor:
        """The sum of both, in nats."""
        first, second = z.split([self.size, z.shape[self.axis] - self.size], self.axis)
        return self.first.log_prob(first) + self.second.log_prob(second)

    def kl_units(self, p: Any) -> Tensor | None:
        """KL(self || p) in nats of each Gaussian dimension, then of each variable, where p is such a product."""
        if not isinstance(p, Product):
            return None
        return torch.cat([self.first.kl_units(p.first), self.second.kl_units(p.second)], 1)


class Joint(Posterior):
    """`variables` of `classes` each are the last channels of the latents, the others are Gaussian.

    Raises UserError where latent_dim leaves no Gaussian dimension.
    """

    per_unit = 2
    provides: ClassVar[set[str]] = {"density", "divergence", "reparameterised", "pointwise", "uniform"}
    requires: ClassVar[dict[str, str]] = {
        "prior.over_codes": "some of its latents are one-hots, where a density over vectors means nothing: type "
        "prior=uniform, which is the standard normal for the others",
    }
    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        variables: Annotated[int, Range(1, 65536)] = 1,
        classes: Annotated[int, Range(2, 65536)] = 10,
        temperature: Annotated[float, Range(0, 100, open_low=True)] = 0.5,
        hard: bool = False,
    ) -> None:
        super().__init__(latent_shape)
        self.classes, self.temperature, self.hard = classes, temperature, hard
        self.discrete = variables * classes
        self.continuous = latent_shape[0] - self.discrete
        if self.continuous < 1:
            raise UserError(
                f"latent_dim={latent_shape[0]}: posterior.variables={variables} of posterior.classes={classes} take "
                f"{self.discrete} and leave no Gaussian dimension: type latent_dim={self.discrete + 10}"
            )
        self.axis = -len(latent_shape)
        self.register_buffer("zeros", torch.zeros(self.continuous, *latent_shape[1:]), persistent=False)

    def forward(self, parameters: Tensor) -> Product:
        """q for parameters (N, 2 * D, *rest): means, log-variances, logits; what is left over is not read."""
        mean, log_variance, logits = parameters[:, : 2 * self.continuous + self.discrete].split(
            [self.continuous, self.continuous, self.discrete], 1
        )
        one_hots = OneHots(logits, self.classes, self.temperature if self.training else None, self.hard)
        return Product(DiagonalGaussian(mean, bounded(log_variance)), one_hots, self.continuous, self.axis)

    def choices(self) -> list[tuple[slice, Tensor]]:
        """The one-hots of each variable; the channels before them are Gaussian."""
        return choices_of(self.continuous, self.latent_shape[0], self.classes, self.zeros)

    def uniform(self) -> Product:
        """The standard normal, and every class with the same chance."""
        one_hots: UniformCodes = uniform_one_hots((self.discrete, *self.latent_shape[1:]), self.classes, self.zeros)
        return Product(StandardNormal(self.zeros), one_hots, self.continuous, self.axis)
