"""A tight bound for the generative network, a looser one of less noise for the inference network.

model:     -L_MK
inference: -1/M sum_m L_K,    from the same M K draws                         PIWAE (Rainforth et al. 2018, section 5)
"""

from typing import Any

from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.multisample import Count, Multisample, bound, log_weights
from vae_runner.objectives.objective import Phase


class PartiallyImportanceWeighted(Multisample):
    """samples: K of each bound of the inference network. estimates: M, how many of these are averaged."""

    def __init__(self, model: Any, examples: int, *, samples: Count = 4, estimates: Count = 2) -> None:
        super().__init__(model, examples)
        self.samples, self.estimates = samples * estimates, estimates

    def phases(self, model: Any) -> dict[str, Phase]:
        return {"model": Phase(model.generative_parameters), "inference": Phase(model.inference_parameters)}

    def losses(self, model: Any, batch: Batch, kl: KL) -> tuple[dict[str, dict[str, Tensor]], Evidence]:
        evidence = model(batch, self.samples)
        evidence.figures[f"iw_bound_{self.samples}"] = bound(evidence.log_w)
        log_w = log_weights(evidence, kl)
        return {
            "model": {"iw_bound": -bound(log_w), **evidence.penalties},
            "inference": {"iw_bound": -bound(log_w, self.estimates), **evidence.penalties},
        }, evidence
