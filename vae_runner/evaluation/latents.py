"""How the latents are used: active units, and what z tells of x."""

import math

import torch
from torch import Tensor

from vae_runner.models.evidence import Level

ACTIVE = 0.01  # variance of the posterior mean over examples above which a unit is active (Burda et al. 2016, 4)


class Moments:
    """Running mean and variance over the first dimension, in double precision, merged batch by batch (Chan et al.)."""

    def __init__(self) -> None:
        self.n = 0
        self.mean: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, values: Tensor) -> None:
        values = values.double()
        n, mean = len(values), values.mean(0)
        squares = (values - mean).square().sum(0)
        total = self.n + n
        delta = mean - self.mean
        self.squares = self.squares + squares + delta.square() * (self.n * n / total)
        self.mean = self.mean + delta * (n / total)
        self.n = total

    def variance(self) -> Tensor:
        """The unbiased variance of each column."""
        return torch.as_tensor(self.squares) / max(self.n - 1, 1)


def mutual_information(level: Level, examples: int, chunk: int = 64) -> Tensor:
    """The mutual information of x and z under q, in nats, estimated on the first `examples` of a batch.

    I = E[log q(z|x) - log q(z)], one z per x, the aggregate q(z) being the mixture of the same examples' posteriors
    (Hoffman & Johnson 2016). The estimate is at most log(examples): 6.2 nats at 512.
    """
    z = level.z[0, :examples]
    n = len(z)
    everyone = level.q[:n]
    own, aggregate = [], []
    for start in range(0, n, chunk):
        part = z[start : start + chunk]
        # every z of the part under every posterior: (part, n)
        log_q = everyone.log_prob(part[:, None].expand(-1, n, *part.shape[1:]))
        rows = torch.arange(len(part), device=z.device)
        own.append(log_q[rows, rows + start])
        aggregate.append(log_q.logsumexp(1) - math.log(n))
    return (torch.cat(own) - torch.cat(aggregate)).mean()
