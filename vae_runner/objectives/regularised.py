"""Deterministic autoencoders with a smooth decoder: RAE (Ghosh et al. 2020), with the prior fitted to the codes after.

    loss = -log p(x|z) + code_norm * |z|^2 / 2 + regulariser,   z = E(x)
    RAE-L2: weight_decay * sum |W|^2 over the weights W of the decoder
    RAE-GP: gradient_penalty * |dD(z)/dz|^2 / 2, the Frobenius norm of the Jacobian of the decoder's mean D

|J|^2 = E_v |v J|^2 for v with independent standard normal entries (Hutchinson 1990): one product for each step.
"""

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from vae_runner import noise
from vae_runner.data.space import Batch
from vae_runner.errors import UserError
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.decoder import decoder_parameters
from vae_runner.objectives.objective import Objective
from vae_runner.settings import Range

Weight = Annotated[float, Range(0, 1e9)]


class Regularised(Objective):
    """code_norm, weight_decay, gradient_penalty: the weight of each, per example; at 0 it is left out."""

    requires: ClassVar[dict[str, str]] = {
        "posterior.deterministic": "no KL holds the noise of an encoder, so there must be none: type posterior=delta"
    }

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        code_norm: Weight = 0.1,
        weight_decay: Weight = 0.0,
        gradient_penalty: Weight = 0.0,
    ) -> None:
        super().__init__(model, examples)
        if gradient_penalty and model.space.support == "categorical":
            raise UserError("objective.gradient_penalty: tokens have no gradient; type objective=rae_l2")
        self.code_norm, self.weight_decay, self.gradient_penalty = code_norm, weight_decay, gradient_penalty

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        norm = evidence.top.code.flatten(1).square().sum(1).mean()
        return {"reconstruction": -evidence.mean_log_px, "code_norm": self.code_norm * norm / 2}

    def losses(self, model: Any, batch: Batch, kl: KL) -> tuple[dict[str, dict[str, Tensor]], Evidence]:
        losses, evidence = super().losses(model, batch, kl)
        if self.weight_decay:
            squares = [weight.square().sum() for weight in decoder_parameters(model) if weight.ndim > 1]
            losses["model"]["weight_decay"] = self.weight_decay * torch.stack(squares).sum()
        if self.gradient_penalty:
            losses["model"]["gradient_penalty"] = self.gradient_penalty * squared_jacobian(model, evidence) / 2
        return losses, evidence


def squared_jacobian(model: Any, evidence: Evidence) -> Tensor:
    """An unbiased estimate of the mean over the batch of |dD(z)/dz|^2, with gradients in evaluation as well."""
    with torch.enable_grad():
        latents = [level.z[0] for level in evidence.levels]
        z = [latent if latent.requires_grad else latent.detach().requires_grad_() for latent in latents]
        mean = model.decode(z, evidence.context, x=evidence.x).mean
        probe = noise.normal_like(mean)
        products = torch.autograd.grad(mean, z, probe, create_graph=True)
    return torch.stack([product.square().sum() for product in products]).sum() / len(mean)
