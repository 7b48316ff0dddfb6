"""Reconstruction judged by the features of a discriminator: VAE/GAN (Larsen et al. 2016, algorithm 1).

    encoder:       KL(q(z|x) || p(z)) + |f(x) - f(x')|^2 / 2
    decoder:       feature_weight * |f(x) - f(x')|^2 / 2 - [log D(x') + log D(x_p)] / 2
    discriminator: -log D(x) - [log(1 - D(x')) + log(1 - D(x_p))] / 2

x' is the mean of p(x|z) for z from q(z|x), x_p that for z from p(z), f(x) the discriminator's last hidden layer: the
squared distance is the log-density of f(x) under a Gaussian of unit variance around f(x'), but for a constant.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from vae_runner.architectures.layers import append_context
from vae_runner.data.space import Batch
from vae_runner.errors import UserError
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.aggregate import Weight
from vae_runner.objectives.decoder import completed
from vae_runner.objectives.discriminator import FeatureDiscriminator, Rate, Width, pass_for_real, tell_apart
from vae_runner.objectives.objective import Objective, Phase


class VAEGAN(Objective):
    """feature_weight: of the reconstruction in the decoder's loss. discriminator_learning_rate, width: of that network.

    width: features of a layer for vectors, channels of the first for images.
    """

    requires: ClassVar[dict[str, str]] = {
        "posterior.density": "the decoder also learns from the prior, which the KL holds the codes to, and a "
        "deterministic code has none: type posterior=gaussian"
    }

    judged = True

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        feature_weight: Weight = 1.0,
        discriminator_learning_rate: Rate = 3e-4,
        width: Width = 16,
    ) -> None:
        super().__init__(model, examples)
        if model.space.sequence:
            raise UserError("objective=vae_gan has no discriminator of sequences: type objective=elbo")
        shape = tuple(model.space.shape)
        probe = append_context(torch.zeros(1, *shape), model.condition and torch.zeros(1, *model.condition.shape))
        self.discriminator = FeatureDiscriminator(tuple(probe.shape[1:]), width=width)
        self.feature_weight, self.learning_rate = feature_weight, discriminator_learning_rate

    def phases(self, model: Any) -> dict[str, Phase]:
        return {
            "model": Phase(model.inference_parameters),
            "decoder": Phase(model.generative_parameters),
            "discriminator": Phase(list(self.discriminator.parameters()), {"lr": self.learning_rate}),
        }

    def losses(self, model: Any, batch: Batch, kl: KL) -> tuple[dict[str, dict[str, Tensor]], Evidence]:
        evidence = model(batch)
        drawn = model.decode(model.sample_latents(len(batch), evidence.context), evidence.context)
        context = None if evidence.context is None else evidence.context.detach()
        images = [evidence.x, completed(evidence.px.mean, evidence), completed(drawn.mean, evidence)]
        seen = [self.discriminator(append_context(x, context)) for x in images]
        (features, real), (decoded, reconstructed), (_, fantasy) = seen
        gap = (features - decoded).square().sum(1).mean() / 2
        fake = torch.cat([reconstructed, fantasy])
        # no part of a plain decoder has a gradient of the KL, but a learned prior and a ladder's rungs have
        divergence = kl([level.kl_units for level in evidence.levels])
        classification, evidence.figures["discriminator_accuracy"] = tell_apart(real, fake)
        losses = {
            "model": {"kl": divergence, "features": gap, **evidence.penalties},
            "decoder": {"kl": divergence, "features": self.feature_weight * gap, "adversarial": pass_for_real(fake)},
            "discriminator": {"classification": classification},
        }
        return losses, evidence
