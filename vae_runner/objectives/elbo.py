"""The negative evidence lower bound, E_q[-log p(x|z)] + beta KL(q(z|x) || p(z)).

Kingma & Welling 2014, equation 3; with beta other than one Higgins et al. 2017. A deterministic code has no divergence:
what is left is the reconstruction term of an autoencoder.
"""

from torch import Tensor

from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.objective import Objective


class ELBO(Objective):
    any_length = True

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        terms = {"reconstruction": -evidence.mean_log_px}
        if evidence.has_density:
            terms["kl"] = kl([level.kl_units for level in evidence.levels])
        return terms
