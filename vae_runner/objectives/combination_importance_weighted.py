"""Between the ELBO and the importance-weighted bound: part of what tightens the bound, and of what it costs q.

loss = -share ELBO - (1 - share) L_K,    both from the same K draws           CIWAE (Rainforth et al. 2018, section 5)
"""

from typing import Annotated, Any

from torch import Tensor

from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.multisample import Count, Multisample, bound, log_weights
from vae_runner.settings import Range


class CombinationImportanceWeighted(Multisample):
    """samples: K. elbo_share: 0 is the importance-weighted bound, 1 the ELBO."""

    def __init__(
        self, model: Any, examples: int, *, samples: Count = 8, elbo_share: Annotated[float, Range(0, 1)] = 0.05
    ) -> None:
        super().__init__(model, examples)
        self.samples, self.elbo_share = samples, elbo_share

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        evidence.figures[f"iw_bound_{self.samples}"] = bound(evidence.log_w)
        log_w = log_weights(evidence, kl)
        return {"elbo": -self.elbo_share * log_w.mean(), "iw_bound": -(1 - self.elbo_share) * bound(log_w)}
