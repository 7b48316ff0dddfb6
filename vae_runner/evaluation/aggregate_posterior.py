"""What the aggregate posterior q(z) = 1/N sum_n q(z|x_n) of N examples has to do with each of them, and with the prior.

    E_n KL(q(z|x_n) || p(z)) = I(x; z) + TC + sum_d KL(q(z_d) || p(z_d))
    I(x; z) = E[log q(z|x) - log q(z)],   TC = E[log q(z) - sum_d log q(z_d)]
    KL(q(z) || p(z)) = E[log q(z) - log p(z)],   I(x; z_d) = E[log q(z_d|x) - log q(z_d)]

Hoffman and Johnson 2016; Chen et al. 2018, equation 2. The mixture of the N posteriors is taken as it is, so that q(z)
is exact for these examples and only the expectation over z is drawn; not even that for single units of one level, whose
sum or integral is of one dimension. I(x; z) is at most log N.

In a ladder everything about a level is given z_> above it, as its KL is, and levels add up by the chain rule:

    I(x; z) = sum_l I(x; z_l|z_>),   I(x; z_l|z_>) = E[log q(z_l|z_>, x) - log q(z_l|z_>)]

Codes of a codebook are not drawn at all. q(z|x) is one sequence of codes, so that I(x; z) is the entropy of the
sequences of the N examples, and I(x; z_d) that of the codes at place d.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.evaluation.rungs import Below, Rung, down, rows_of
from vae_runner.evaluation.standard_errors import of_mean

PAIRS = 1_000_000_000  # log-densities of single numbers that are worth waiting for
LEAST = 200  # z


@dataclass(frozen=True)
class Estimate:
    """A mean over draws, in nats, of their `values` (M,); of one number where nothing is drawn."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def standard_error(self) -> float | None:
        return of_mean(self.values)

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.values + other.values)


@dataclass(frozen=True)
class Units:
    """total_correlation: TC. information: I(x; z_d) of each unit, (D,), in double precision."""

    total_correlation: Estimate
    information: Tensor

    def __add__(self, above: "Units") -> "Units":
        information = torch.cat([self.information, above.information])
        return Units(self.total_correlation + above.total_correlation, information)


@dataclass(frozen=True)
class Decomposition:
    """mutual_information: I(x; z). divergence: KL(q(z) || p(z)). units: None where all of z is one unit.

    Everything about a level of a ladder is given those above it.
    """

    mutual_information: Estimate
    divergence: Estimate
    units: Units | None

    def __add__(self, above: "Decomposition") -> "Decomposition":
        """That of a level together with those above it, by the chain rule; the units of all, side by side."""
        information = self.mutual_information + above.mutual_information
        divergence = self.divergence + above.divergence
        if self.units is None or above.units is None:
            return Decomposition(information, divergence, None)
        return Decomposition(information, divergence, self.units + above.units)


def mutual_information(rungs: Sequence[Rung], most: int = PAIRS, least: int = LEAST) -> list[Estimate]:
    """I(x; z) of each level, given those above it, the top one first; expectations as of `decompose`."""
    found: list[list[Tensor]] = [[] for _ in rungs]
    for rows in rows_of(rungs, most, least):
        for values, pairs in zip(found, down(rungs, rows), strict=True):
            values.append(pairs.information.double())
    return [Estimate(torch.cat(values)) for values in found]


def decompose(rungs: Sequence[Rung], most: int = PAIRS, least: int = LEAST) -> list[Decomposition]:
    """The terms of each level, given those above it, the top one first.

    Expectations are over all z, or over the first ones: as many as make `most` pairs of their numbers and an example,
    but no fewer than `least`.
    """
    terms: list[list[Tensor]] = [[] for _ in rungs]
    of_units: list[list[Tensor]] = [[] for _ in rungs]
    for rows in rows_of(rungs, most, least):
        for i, (rung, pairs) in enumerate(zip(rungs, down(rungs, rows), strict=True)):
            marginals = (pairs.log_weights[:, :, None] + pairs.every).logsumexp(1)
            divergence, correlation = pairs.joint - rung.log_prior[rows], pairs.joint - marginals.sum(1)
            terms[i].append(torch.stack([pairs.information, divergence, correlation]).double())
            of_units[i].append((pairs.own - marginals).double().sum(0))
    return [
        _decomposition(rung, torch.cat(parts, 1), torch.stack(sums).sum(0))
        for rung, parts, sums in zip(rungs, terms, of_units, strict=True)
    ]


def _decomposition(rung: Rung, terms: Tensor, unit_sums: Tensor) -> Decomposition:
    information, divergence, correlation = (Estimate(values) for values in terms)
    if isinstance(rung, Below):
        return Decomposition(information, divergence, Units(correlation, unit_sums / len(information)))
    of_units = rung.unit_information()
    return Decomposition(information, divergence, None if of_units is None else Units(correlation, of_units))


def decompose_codes(indices: Tensor, log_prior: Tensor) -> Decomposition:
    """The same, exactly, of the codes (N, places) of N examples, whole numbers, and log p of each sequence, (N,)."""
    information = _entropy(indices, dim=0)
    of_places = torch.stack([_entropy(place) for place in indices.T])
    divergence = -information - log_prior.double().mean()
    found = (information, divergence, of_places.sum() - information)
    of_all, from_prior, correlation = (Estimate(part[None]) for part in found)
    return Decomposition(of_all, from_prior, Units(correlation, of_places))


def _entropy(values: Tensor, dim: int | None = None) -> Tensor:
    """Of how often each value occurs, in nats, in double precision; of rows with dim=0."""
    counts = values.unique(return_counts=True, dim=dim)[1].double()
    return torch.special.entr(counts / counts.sum()).sum()
