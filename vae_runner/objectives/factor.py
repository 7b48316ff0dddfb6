"""A discriminator estimates the total correlation of the latents, which is added to the ELBO: FactorVAE.

    model:         -ELBO + weight E_q(z)[logit D(z)],    logit D(z) = log q(z) / prod_d q(z_d) for the best D
    discriminator: E_q(z)[-log D(z)] + E_permuted[-log(1 - D(z))]

Kim & Mnih 2018, equation 2 and algorithm 1. Permuting each dimension by itself over the batch draws from the product of
the marginals. In a ladder it acts on the top level.
"""

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from vae_runner import parts
from vae_runner.data.space import Batch
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.discriminator import Depth, Discriminator, Rate, Width, tell_apart
from vae_runner.objectives.elbo import ELBO
from vae_runner.objectives.objective import Phase
from vae_runner.settings import Range


class Factor(ELBO):
    """weight: of the total correlation. discriminator_learning_rate, width, depth: of the discriminator."""

    any_length = False  # the discriminator sees all latents at once

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        weight: Annotated[float, Range(0, 1_000_000)] = 10.0,
        discriminator_learning_rate: Rate = 1e-3,
        width: Width = 256,
        depth: Depth = 3,
    ) -> None:
        super().__init__(model, examples)
        self.weight, self.learning_rate = weight, discriminator_learning_rate
        self.discriminator = Discriminator(math.prod(model.latent_shapes[-1]), width=width, depth=depth)

    def phases(self, model: Any) -> dict[str, Phase]:
        discriminator = Phase([*self.discriminator.parameters()], {"lr": self.learning_rate})
        return {**super().phases(model), "discriminator": discriminator}

    def losses(self, model: Any, batch: Batch, kl: KL) -> tuple[dict[str, dict[str, Tensor]], Evidence]:
        losses, evidence = super().losses(model, batch, kl)
        z = evidence.top.z[0].flatten(1)
        joint, apart = self.discriminator(z), self.discriminator(parts.own(permuted(parts.gathered(z.detach()))))
        losses["model"]["total_correlation"] = self.weight * joint.mean()
        classification, evidence.figures["discriminator_accuracy"] = tell_apart(joint, apart)
        losses["discriminator"] = {"classification": classification}
        return losses, evidence


def permuted(z: Tensor) -> Tensor:
    """Codes (B, D), each dimension in an order of its own over the batch."""
    return z.gather(0, torch.rand_like(z).argsort(0))
