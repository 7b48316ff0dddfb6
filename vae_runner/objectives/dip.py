"""The covariance of the aggregate posterior is pulled to that of the prior, the identity: DIP-VAE.

    loss = -ELBO + off_diagonal sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2
    i:  C = Cov_x[mean of q(z|x)]        ii: C = Cov_x[mean of q(z|x)] + E_x[variance of q(z|x)], that of q(z)

Kumar et al. 2018, equations 5 to 7. The covariances are the batch's. In a ladder it acts on the top level.
"""

from typing import Annotated, Any, Literal

from torch import Tensor

from vae_runner import parts
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.elbo import ELBO
from vae_runner.settings import Range

Weight = Annotated[float, Range(0, 1_000_000)]


class DIP(ELBO):
    """off_diagonal, diagonal: weights of the penalties on covariances, and on variances that are not one."""

    any_length = False  # covariances of latents that some batches do not have are of few examples

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        kind: Literal["i", "ii"] = "i",
        off_diagonal: Weight = 10.0,
        diagonal: Weight = 0.1,
    ) -> None:
        super().__init__(model, examples)
        self.kind, self.off_diagonal, self.diagonal = kind, off_diagonal, diagonal

    @classmethod
    def needs(cls, settings: dict) -> dict[str, str]:
        if settings["kind"] == "i":
            return {}
        instead = "it needs a variance of q(z|x) for every latent: type posterior=gaussian, or objective=dip_i"
        return {"posterior.factorised": instead, "model.one_level|model.levels": instead}

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        q = evidence.top.q
        codes = q.mean.flatten(1)
        centred = codes - parts.average(codes.mean(0))
        covariance = parts.average(centred.T @ centred / len(codes))  # torch.cov would wait for the device
        if self.kind == "ii":
            covariance = covariance + parts.average(q.log_variance.exp().flatten(1).mean(0)).diag()
        variances = covariance.diag()
        return {
            **super().terms(evidence, kl),
            "off_diagonal": self.off_diagonal * (covariance - variances.diag()).square().sum(),
            "diagonal": self.diagonal * (variances - 1).square().sum(),
        }
