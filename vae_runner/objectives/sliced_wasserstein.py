"""The sliced Wasserstein distance between the aggregate posterior and the prior (SWAE, Kolouri et al. 2019).

    loss = E_q[-log p(x|z)] + weight * E_theta[ W_p^p(theta . z, theta . p) ],  theta uniform on the unit sphere

In one dimension the optimal transport between two samples pairs them in their order, so that no adversary and no
kernel is needed: W_p^p = mean_i |a_(i) - b_(i)|^p.
"""

from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.objectives.aggregate import MatchesPrior, Weight
from vae_runner.settings import Range


def sliced_wasserstein(x: Tensor, y: Tensor, projections: int, power: int) -> Tensor:
    """The mean of W_p^p over random directions, a scalar, between the samples x and y, both (N, D)."""
    directions = F.normalize(torch.randn(x.shape[1], projections, dtype=x.dtype, device=x.device), dim=0)
    gaps = (x @ directions).sort(0).values - (y @ directions).sort(0).values
    return gaps.abs().pow(power).mean()


class SlicedWasserstein(MatchesPrior):
    """projections: directions, drawn afresh at each step. power: p, of the distance."""

    requires: ClassVar[dict[str, str]] = {
        "kl.unused": "the sliced Wasserstein distance stands in for the KL: leave the kl group as it is"
    }

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        weight: Weight = 1000.0,
        projections: Annotated[int, Range(1, 100_000)] = 50,
        power: Literal[1, 2] = 2,
    ) -> None:
        super().__init__(model, examples, weight=weight)
        self.projections, self.power = projections, power

    def divergence(self, codes: Tensor, draws: Tensor) -> Tensor:
        return sliced_wasserstein(codes, draws, self.projections, self.power)
