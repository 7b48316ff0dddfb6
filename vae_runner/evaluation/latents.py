"""How the latents are used: active units, and what z tells of x."""

import math
from collections.abc import Sequence

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


def mutual_information(levels: Sequence[Level], examples: int, chunk: int = 64) -> Tensor:
    """The mutual information of x and z under q, in nats, estimated on the first `examples` of some batches.

    I = E[log q(z|x) - log q(z)], one z per x, the aggregate q(z) being the mixture of the same examples' posteriors
    (Hoffman & Johnson 2016). The estimate is at most log(examples): 6.2 nats at 512.
    levels: of each batch, one.
    """
    z = torch.cat([level.z[0] for level in levels])[:examples]
    n, rows_left, everyone = len(z), len(z), []
    for level in levels:
        rows = min(level.z.shape[1], rows_left)
        everyone += [(level.q[:rows], rows)] if rows else []
        rows_left -= rows
    own, aggregate = [], []
    for start in range(0, n, chunk):
        part = z[start : start + chunk]
        # every z of the part under every posterior: (part, n)
        log_q = torch.cat([q.log_prob(part[:, None].expand(-1, m, *part.shape[1:])) for q, m in everyone], 1)
        own.append(log_q.diagonal(start))
        aggregate.append(log_q.logsumexp(1) - math.log(n))
    return (torch.cat(own) - torch.cat(aggregate)).mean()
