"""The aggregate posterior q(z) = E_x[q(z|x)] beside the prior p(z): what objectives compare that hold one to the other.

    loss = E_q[-log p(x|z)] + weight * divergence(q(z), p(z))                      (Tolstikhin et al. 2018, equation 4)

With a condition both are joint with it, q(z, c) and p(z|c) p(c), so that the codes match the prior for each condition.
"""

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from vae_runner import parts
from vae_runner.data.space import Batch
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.objective import Objective
from vae_runner.settings import Range

Weight = Annotated[float, Range(0, 1e9)]


def codes_and_draws(model: Any, evidence: Evidence) -> tuple[Tensor, Tensor]:
    """The latents of a batch, and as many drawn from the prior for the same contexts, both (B, D).

    All levels side by side, then the context where there is one.
    """
    codes = [level.z[0].flatten(1) for level in evidence.levels]
    draws = [z.flatten(1) for z in model.sample_latents(len(codes[0]), evidence.context)]
    # the embedding of a condition must not move to make the two look alike
    context = [] if evidence.context is None else [evidence.context.detach().flatten(1)]
    return torch.cat(codes + context, 1), torch.cat(draws + context, 1)


class MatchesPrior(Objective):
    """Adds `weight` times the `divergence` that a subclass defines; a learned prior comes to meet the codes."""

    provides: ClassVar[set[str]] = {"matches_prior"}

    def __init__(self, model: Any, examples: int, *, weight: Weight) -> None:
        super().__init__(model, examples)
        self.weight = weight

    def divergence(self, codes: Tensor, draws: Tensor) -> Tensor:
        """Between the distributions that codes (B, D) and draws from the prior (B, D) come from; a scalar."""
        raise NotImplementedError

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        return {"reconstruction": -evidence.mean_log_px}

    def losses(self, model: Any, batch: Batch, kl: KL) -> tuple[dict[str, dict[str, Tensor]], Evidence]:
        losses, evidence = super().losses(model, batch, kl)
        codes, draws = codes_and_draws(model, evidence)
        losses["model"]["divergence"] = self.weight * self.divergence(parts.gathered(codes), parts.gathered(draws))
        return losses, evidence
