"""A fixed Gaussian per class, chosen by the label (Makhzani et al. 2016, section 2.3).

The classes stand on a circle in each pair of dimensions, in a different order in each pair so that no two are near
each other in all of them, and on a line in a dimension that is left over.
"""

import math
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.distributions.priors.prior import Prior
from vae_runner.settings import Range


def arrangement(classes: int, dimensions: int) -> Tensor:
    """Points (classes, dimensions), no two of which are nearer than 1."""
    place = torch.arange(classes, dtype=torch.float64)
    columns = []
    for pair in range(dimensions // 2):
        harmonic = 1 + pair % max(classes // 2, 1)
        angle = 2 * math.pi * harmonic * place / classes
        columns += [angle.cos(), angle.sin()]
    if dimensions % 2:
        columns.append(2 * place / max(classes - 1, 1) - 1)
    points = torch.stack(columns, 1)
    return (points / torch.pdist(points).min()).float() if classes > 1 else points.float()


class Classes(Prior):
    """N(z; m_class, I), the means at least `separation` standard deviations apart; nothing is learned."""

    provides: ClassVar[set[str]] = {"density", "factorised", "sample"}
    requires: ClassVar[dict[str, str]] = {
        "condition.one_hot": "it has a Gaussian per class, and only labels say which: type condition=label",
        "model.levels|model.one_level": "it is of an example, not of a step: type prior=transition",
    }
    means: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: tuple[int, ...] = (),
        *,
        separation: Annotated[float, Range(0, 1000)] = 4.0,
    ) -> None:
        super().__init__(latent_shape, context)
        means = separation * arrangement(context[0], math.prod(latent_shape))
        self.register_buffer("means", means.view(-1, *latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> DiagonalGaussian:
        """p for contexts (B, classes), above 0 for the class; at the origin where none is."""
        assert context is not None
        mean = torch.tensordot((context > 0).to(self.means.dtype), self.means, 1)
        return DiagonalGaussian(mean, torch.zeros_like(mean))

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """One latent for each of the n contexts, (n, *latent_shape)."""
        return self(context).sample(1, temperature).squeeze(0)
