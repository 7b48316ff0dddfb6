"""What the aggregate posterior q(z) = 1/N sum_n q(z|x_n) of N examples has to do with each of them, and with the prior.

    E_n KL(q(z|x_n) || p(z)) = I(x; z) + TC + sum_d KL(q(z_d) || p(z_d))
    I(x; z) = E[log q(z|x) - log q(z)],   TC = E[log q(z) - sum_d log q(z_d)]
    KL(q(z) || p(z)) = E[log q(z) - log p(z)],   I(x; z_d) = E[log q(z_d|x) - log q(z_d)]

Hoffman and Johnson 2016; Chen et al. 2018, equation 2. The mixture of the N posteriors is taken as it is, so that q(z)
is exact for these examples and only the expectation over z is drawn; not even that for single units, whose sum or
integral is of one dimension. I(x; z) is at most log N.

Codes of a codebook are not drawn at all. q(z|x) is one sequence of codes, so that I(x; z) is the entropy of the
sequences of the N examples, and I(x; z_d) that of the codes at place d.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.evaluation import units
from vae_runner.evaluation.standard_errors import of_mean


@dataclass(frozen=True)
class Estimate:
    """A mean over draws, in nats, with its standard error; None where nothing is drawn."""

    mean: float
    standard_error: float | None


@dataclass(frozen=True)
class Decomposition:
    """mutual_information: I(x; z). divergence: KL(q(z) || p(z)). examples: N. draws: of z for each of them.

    total_correlation: TC, and unit_information: I(x; z_d) of each unit, (D,), in double precision; None where all of z
    is one unit.
    """

    mutual_information: Estimate
    divergence: Estimate
    total_correlation: Estimate | None
    unit_information: Tensor | None
    examples: int
    draws: int


def decompose(q: Any, p: Any, draws: int = 1) -> Decomposition:
    """The terms for the posteriors q of N examples, of `units.KNOWN`, and a prior p, from `draws` of z per example."""
    n = len(q.mean)
    z = q.sample(draws).flatten(0, 1)
    owner = torch.arange(n, device=z.device).repeat(draws)
    log_prior = p.log_prob(z.view(draws, n, *z.shape[1:])).flatten()
    totals: list[Tensor] = []
    for rows in torch.arange(len(z), device=z.device).split(max(units.CHUNK // (n * z[0].numel()), 1)):
        every = units.log_probs(q, z[rows])
        own = every[torch.arange(len(rows), device=z.device), owner[rows]]
        marginals = every.logsumexp(1) - math.log(n)
        joint = every.sum(2).logsumexp(1) - math.log(n)
        total = torch.stack([own.sum(1) - joint, joint - log_prior[rows], joint - marginals.sum(1)], 1)
        totals.append(total)
    information, divergence, correlation = (_estimate(column) for column in torch.cat(totals).double().unbind(1))
    of_units = units.information(q)
    return Decomposition(information, divergence, None if of_units is None else correlation, of_units, n, draws)


def decompose_codes(indices: Tensor, log_prior: Tensor) -> Decomposition:
    """The same, exactly, of the codes (N, places) of N examples, whole numbers, and log p of each sequence, (N,)."""
    information = _entropy(indices, dim=0)
    of_places = torch.stack([_entropy(place) for place in indices.T])
    divergence = -information - log_prior.double().mean()
    found = (information, divergence, of_places.sum() - information)
    of_all, from_prior, correlation = (Estimate(float(part), None) for part in found)
    return Decomposition(of_all, from_prior, correlation, of_places, len(indices), 1)


def _entropy(values: Tensor, dim: int | None = None) -> Tensor:
    """Of how often each value occurs, in nats, in double precision; of rows with dim=0."""
    counts = values.unique(return_counts=True, dim=dim)[1].double()
    return torch.special.entr(counts / counts.sum()).sum()


def _estimate(values: Tensor) -> Estimate:
    return Estimate(float(values.mean()), of_mean(values))
