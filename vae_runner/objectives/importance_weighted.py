"""The importance-weighted bound, or the mean of several: the more draws in each, the closer to log p(x).

    loss = -1/M sum_m L_K      IWAE, M = 1 (Burda et al. 2016, equation 8); MIWAE, M > 1 (Rainforth et al. 2018)

The standard gradient, sum_k s_k grad log w_k with s_k the share of w_k in their sum, holds the score of q, which drowns
the rest as K grows. Tucker et al. 2019 put in its place what has the same mean, E[s grad log q] = E[ds/dz grad z]: the
path of z counts for s^2 (with a KL weight b for s - b s (1 - s)), the score of q for nothing. In a ladder that is done
at the top alone: below it q depends on the draws above it, a path that would be cut with the score.
"""

from typing import Any, Literal

from torch import Tensor

from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence, Level
from vae_runner.objectives.multisample import Count, Multisample, bound, enumerated_log_weights


class ImportanceWeighted(Multisample):
    """samples: K of each bound. estimates: M, how many bounds are averaged."""

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        samples: Count = 5,
        estimates: Count = 1,
        gradient: Literal["standard", "doubly_reparameterised"] = "standard",
    ) -> None:
        super().__init__(model, examples)
        self.samples, self.estimates, self.gradient = samples * estimates, estimates, gradient
        self.figure = f"iw_bound_{samples}"

    @classmethod
    def needs(cls, settings: dict) -> dict[str, str]:
        if settings["gradient"] == "standard":
            return {}
        instead = "objective.gradient=doubly_reparameterised holds q fixed in log q(z|x), which cannot be done here: "
        instead += "type objective.gradient=standard"
        return {"posterior.detachable": instead, "model.one_level|model.levels": instead}

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        evidence.figures[self.figure] = bound(evidence.log_w, self.estimates)
        every = evidence.enumerated
        log_w = enumerated_log_weights(every, kl)
        if self.gradient == "doubly_reparameterised":
            shares = log_w.detach().reshape(self.estimates, -1, len(evidence.x)).softmax(1).view_as(log_w)
            log_w = self._without_score(log_w, shares, every.top, kl.weight.flatten()[-1])
        return {"iw_bound": -bound(evidence.summed(log_w), self.estimates)}

    @staticmethod
    def _without_score(log_w: Tensor, shares: Tensor, top: Level, weight: Tensor) -> Tensor:
        """The same log weights (S, B), without the score of q at the top; has the path of z count as it must then."""
        if top.z.requires_grad:
            factors = (1 - weight * (1 - shares)).view(*log_w.shape, *[1] * (top.z.ndim - 2))
            top.z.register_hook(lambda gradient: gradient * factors)
        return log_w + weight * (top.log_q - top.density(top.q.detach()))
