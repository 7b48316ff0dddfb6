"""The maximum mean discrepancy between the aggregate posterior and the prior, beside what is left of the KL.

    loss = E_q[-log p(x|z)] + (1 - alpha) KL(q(z|x) || p(z)) + weight MMD^2(q(z), p(z))
    MMD^2 = E k(z, z') + E k(p, p') - 2 E k(z, p),  z, z' from q(z) and p, p' from p(z), independent

InfoVAE (Zhao et al. 2019, equation 6; their alpha + lambda - 1 is the weight). With alpha = 1 no KL is left, and the
code may be deterministic: WAE-MMD (Tolstikhin et al. 2018). The kernel is a sum over scales s, in units of the mean
squared distance m between two draws from the prior, which is 2 D for D standard normal dimensions:

    imq: s m / (s m + |z - z'|^2)         rbf: exp(-|z - z'|^2 / (s m))
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.aggregate import MatchesPrior, Weight
from vae_runner.settings import Range


def squared_mmd(x: Tensor, y: Tensor, kernel: str, scales: Tensor) -> Tensor:
    """An unbiased estimate (Gretton et al. 2012, lemma 6), a scalar, from x and y, both (N, D); scales (K,).

    It may be below zero. y, draws from the prior, gives the kernel its unit.
    """
    pairs = max(len(x) * (len(x) - 1), 1)
    xx, yy, xy = (torch.cdist(a, b).square() for a, b in ((x, x), (y, y), (x, y)))
    unit = scales[:, None, None] * (yy.detach().sum() / pairs).clamp_min(1e-12)
    xx, yy, xy = ((-d / unit).exp().sum(0) if kernel == "rbf" else (unit / (unit + d)).sum(0) for d in (xx, yy, xy))
    # torch's trace waits for the device in its backward pass
    own = xx.diagonal().sum() + yy.diagonal().sum()
    return (xx.sum() + yy.sum() - own) / pairs - 2 * xy.mean()


class MMD(MatchesPrior):
    """alpha: the share of the KL that is left out."""

    scales: Tensor

    def __init__(
        self,
        model: Any,
        examples: int,
        *,
        alpha: Annotated[float, Range(0, 1)] = 1.0,
        weight: Weight = 1000.0,
        kernel: Literal["imq", "rbf"] = "imq",
        scales: Sequence[Annotated[float, Range(0, open_low=True)]] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
    ) -> None:
        super().__init__(model, examples, weight=weight)
        self.alpha, self.kernel = alpha, kernel
        self.register_buffer("scales", torch.tensor(scales), persistent=False)

    @classmethod
    def needs(cls, settings: dict) -> dict[str, str]:
        """What is left of the KL must exist, and where nothing is left, nothing can act on it."""
        if settings["alpha"] == 1:
            return {"kl.unused": "with objective.alpha=1 no KL is left: leave the kl group as it is, or lower alpha"}
        return {"posterior.density": "a deterministic code has no KL, and objective.alpha is below 1: set it to 1"}

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        left = {"kl": (1 - self.alpha) * kl([level.kl_units for level in evidence.levels])} if self.alpha < 1 else {}
        return {**super().terms(evidence, kl), **left}

    def divergence(self, codes: Tensor, draws: Tensor) -> Tensor:
        return squared_mmd(codes, draws, self.kernel, self.scales)
