"""What every bound from several draws of z is made of.

log w = log p(x|z) + b (log p(z) - log q(z|x)),    L_K = log 1/K sum_k w_k,    b: the weight of the KL
"""

import math
from typing import Annotated, ClassVar

from torch import Tensor

from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.objective import Objective
from vae_runner.settings import Range

Count = Annotated[int, Range(1, 100_000)]


class Multisample(Objective):
    """States what importance weights need of the other parts."""

    requires: ClassVar[dict[str, str]] = {
        "posterior.density": "importance weights are made of log q(z|x): type posterior=gaussian",
        "prior.density": "importance weights are made of log p(z): type prior=normal",
        "kl.plain": "a bound from several draws has no KL term of its own: leave out kl.free_bits and kl.capacity",
    }
    any_length = True


def log_weights(evidence: Evidence, kl: KL) -> Tensor:
    """The log importance weights (S, B), in which the divergence of each level counts for its weight."""
    return evidence.summed(enumerated_log_weights(evidence.enumerated, kl))


def enumerated_log_weights(evidence: Evidence, kl: KL) -> Tensor:
    """The same, of each class by itself where classes are latent too."""
    weights = kl.weight.expand(len(evidence.levels))
    ratios = [weight * (level.log_p - level.log_q) for weight, level in zip(weights, evidence.levels, strict=True)]
    return sum(ratios, evidence.log_px)


def bound(log_w: Tensor, estimates: int = 1) -> Tensor:
    """The mean of `estimates` bounds L_K, K = S / estimates, from log weights (S, B), in nats per example."""
    groups = log_w.unflatten(0, (estimates, -1))
    return (groups.logsumexp(1) - math.log(groups.shape[1])).mean()
