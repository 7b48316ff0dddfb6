"""A discriminator holds the aggregate posterior to the prior: the adversarial autoencoder (Makhzani et al. 2016).

    model:         E_q[-log p(x|z)] + weight * (E_q(z)[-log D(z)] + E_p(z)[-log(1 - D(z))])
    discriminator: E_p(z)[-log D(z)] + E_q(z)[-log(1 - D(z))] + gradient_penalty * E_p(z)|d logit D(z) / dz|^2 / 2

The prior may be any that can be sampled; one that is learned moves, by the last term, to meet the codes. With a
condition the discriminator sees it beside codes and beside draws from the prior for the same conditions (section 2.3).
"""

import math
from typing import Any, ClassVar

from torch import Tensor, nn

from vae_runner.architectures.layers import context_size
from vae_runner.data.space import Batch
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.aggregate import Weight, codes_and_draws
from vae_runner.objectives.discriminator import Depth, Discriminator, Rate, Width, pass_for_real, slope, tell_apart
from vae_runner.objectives.objective import Objective, Phase

STANDS_IN = "the discriminator stands in for the KL: leave the kl group as it is, and set objective.weight"


class Adversarial(Objective):
    """discriminator_learning_rate, width, depth: of the discriminator, a fully connected network."""

    provides: ClassVar[set[str]] = {"matches_prior"}
    requires: ClassVar[dict[str, str]] = {"kl.unused": STANDS_IN}
    judged = True

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        weight: Weight = 30.0,
        discriminator_learning_rate: Rate = 3e-3,
        gradient_penalty: Weight = 1.0,
        width: Width = 256,
        depth: Depth = 2,
    ) -> None:
        super().__init__(model, examples)
        context = context_size(model.condition.shape if model.condition else (), spatial=False)
        size = sum(math.prod(shape) for shape in model.latent_shapes)
        self.discriminator = Discriminator(size + context, width=width, depth=depth)
        self.weight, self.learning_rate, self.gradient_penalty = weight, discriminator_learning_rate, gradient_penalty

    def phases(self, model: nn.Module) -> dict[str, Phase]:
        discriminator = Phase(list(self.discriminator.parameters()), {"lr": self.learning_rate})
        return {**super().phases(model), "discriminator": discriminator}

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        return {"reconstruction": -evidence.mean_log_px}

    def losses(self, model: Any, batch: Batch, kl: KL) -> tuple[dict[str, dict[str, Tensor]], Evidence]:
        losses, evidence = super().losses(model, batch, kl)
        codes, draws = codes_and_draws(model, evidence)
        fake, real = self.discriminator(codes), self.discriminator(draws)
        losses["model"]["adversarial"] = self.weight * (pass_for_real(fake) + pass_for_real(-real))
        classification, evidence.figures["discriminator_accuracy"] = tell_apart(real, fake)
        penalty = self.gradient_penalty * slope(self.discriminator, draws)
        losses["discriminator"] = {"classification": classification, "gradient_penalty": penalty}
        return losses, evidence
