"""The KL in three terms, of which the total correlation of the latents is weighed by itself: the beta-TCVAE.

    E_x KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || prod_d q(z_d)) + sum_d KL(q(z_d) || p(z_d))

Chen et al. 2018, equations 2 and 4. q(z) is the mean over all N examples of q(z|x), estimated from a batch of B:

    stratified: 1/N q(z|x) + (1 - 1/N) mean_others q(z|x_n)    of mean q(z), and exact where B = N   (appendix C.2, with
                                                               one weight for all others)
    weighted:   1/(N B) sum_all q(z|x_n)                       as published (C.1); too small by up to log N nats
"""

from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from vae_runner import parts
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.errors import UserError
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence, Level
from vae_runner.objectives.objective import Objective
from vae_runner.settings import Range

Weight = Annotated[float, Range(0, 1_000_000)]
ROWS = 128  # draws at a time, for each meets every posterior in every dimension


class TotalCorrelation(Objective):
    """alpha, gamma: weights of the first and the last term; that of the total correlation, beta, is the KL's."""

    requires: ClassVar[dict[str, str]] = {
        "posterior.factorised": "it needs q(z|x) dimension by dimension: type posterior=gaussian",
        "prior.factorised": "it needs a prior of independent dimensions: type prior=normal",
        "model.one_level": "the KL of a ladder does not come apart into these terms: type model=vae",
        "kl.plain": "it weighs the parts of the KL one by one: leave out kl.free_bits and kl.capacity",
    }

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        alpha: Weight = 1.0,
        gamma: Weight = 1.0,
        estimator: Literal["stratified", "weighted"] = "stratified",
    ) -> None:
        super().__init__(model, examples)
        if getattr(model.condition, "inferred", False):
            raise UserError(
                "objective=total_correlation: the KL of an inferred class does not come apart; type objective=elbo"
            )
        self.examples, self.alpha, self.gamma, self.estimator = examples, alpha, gamma, estimator

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        level = evidence.top
        log_qz, log_qz_units = self.aggregate(level)
        return {
            "reconstruction": -evidence.mean_log_px,
            "mutual_information": self.alpha * (level.log_q[0] - log_qz).mean(),
            "total_correlation": kl.weight.squeeze() * (log_qz - log_qz_units).mean(),
            "dimension_wise_kl": self.gamma * (log_qz_units - level.log_p[0]).mean(),
        }

    def aggregate(self, level: Level) -> tuple[Tensor, Tensor]:
        """log q(z) and sum_d log q(z_d), (B,) each, at the first draw of every example."""
        q, z = level.q, level.z[0].flatten(1)
        mean, log_variance = parts.gathered(q.mean.flatten(1)), parts.gathered(q.log_variance.flatten(1))
        units = DiagonalGaussian(mean.reshape(-1, 1), log_variance.reshape(-1, 1))
        joint, apart = [], []
        for rows, shares in zip(z.split(ROWS), parts.own(self.shares(mean)).split(ROWS), strict=True):
            log_q = units.log_prob(rows.repeat(1, len(mean)).unsqueeze(2)).view(len(rows), *mean.shape)
            joint.append((log_q.sum(2) + shares).logsumexp(1))
            apart.append((log_q + shares.unsqueeze(2)).logsumexp(1).sum(1))
        return torch.cat(joint), torch.cat(apart)

    def shares(self, z: Tensor) -> Tensor:
        """The log of what each posterior of the batch counts for at each draw, (B, B)."""
        n, batch = self.examples, len(z)
        if self.estimator == "weighted":
            return z.new_full((batch, batch), 1 / (n * batch)).log()
        shares = torch.full((batch, batch), (1 - 1 / n) / max(batch - 1, 1), dtype=z.dtype, device=z.device)
        return shares.fill_diagonal_(1 / n).log()
