"""What the aggregate posterior q(z) = 1/N sum_n q(z|x_n) of N examples has to do with each of them, and with the prior.

    E_n KL(q(z|x_n) || p(z)) = I(x; z) + TC + sum_d KL(q(z_d) || p(z_d))
    I(x; z) = E[log q(z|x) - log q(z)],   TC = E[log q(z) - sum_d log q(z_d)]
    KL(q(z) || p(z)) = E[log q(z) - log p(z)],   I(x; z_d) = E[log q(z_d|x) - log q(z_d)]

Hoffman and Johnson 2016; Chen et al. 2018, equation 2. The mixture of the N posteriors is taken as it is, so that q(z)
is exact for these examples and only the expectation over z is drawn; not even that for single units of one level, whose
sum or integral is of one dimension. I(x; z) is at most log N.

In a ladder everything about a level is given z_> above it, as its KL is, and levels add up by the chain rule:

    q(z_l|z_>) = sum_n w_n q(z_l|z_>, x_n),   w_n = q(z_>|x_n) / sum_m q(z_>|x_m)
    I(x; z) = sum_l I(x; z_l|z_>),   I(x; z_l|z_>) = E[log q(z_l|z_>, x) - log q(z_l|z_>)]

Codes of a codebook are not drawn at all. q(z|x) is one sequence of codes, so that I(x; z) is the entropy of the
sequences of the N examples, and I(x; z_d) that of the codes at place d.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.evaluation import units
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


@dataclass(frozen=True)
class Rung:
    """A level of latents: z (M, *latent_shape) drawn from the posteriors of N examples, log_prior: log p(z|z_>) (M,).

    log_probs: log q(z_d|z_>, x_n) of each unit d of the z in some rows, under each of the N, (rows, N, units).
    size: of z. is_one_unit: whether its numbers are no units of their own. unit_information: where it is not drawn.
    """

    log_prior: Tensor
    log_probs: Callable[[Tensor], Tensor]
    size: int
    is_one_unit: bool = False
    unit_information: Tensor | None = None


def top_rung(z: Tensor, q: Any, p: Any) -> Rung:
    """z (M, *latent_shape), the posteriors q of N examples, of `units.KNOWN`, and the prior p, which is one for all."""
    log_prior = p.log_prob(z.unflatten(0, (-1, len(q.mean)))).flatten()
    information = units.information(q)
    return Rung(log_prior, lambda rows: units.log_probs(q, z[rows]), z[0].numel(), information is None, information)


def lower_rung(z: Tensor, proposed: DiagonalGaussian, p: DiagonalGaussian) -> Rung:
    """z (N, *latent_shape), what each of N examples proposes, and p(z|z_>) for the z_> that was drawn of each."""
    log_prior = p.log_prob(z)
    return Rung(log_prior, lambda rows: units.merged_log_probs(proposed, p[rows], z[rows]), z[0].numel())


def decompose(rungs: Sequence[Rung], examples: int, most: int = PAIRS) -> list[Decomposition]:
    """The terms of each level, given those above it, the top one first; z are of the N examples in turn.

    Expectations are over all z, or over the first ones: as many as make `most` pairs of their numbers and an example,
    but no fewer than LEAST.
    """
    sizes, device = [rung.size for rung in rungs], rungs[0].log_prior.device
    drawn = min(len(rungs[0].log_prior), max(most // (examples * sum(sizes)), LEAST))
    owner = torch.arange(drawn, device=device) % examples
    largest = max(sizes)
    terms: list[list[Tensor]] = [[] for _ in rungs]
    of_units: list[Tensor | float] = [0.0] * len(rungs)
    for rows in torch.arange(drawn, device=device).split(max(units.CHUNK // (examples * largest), 1)):
        log_weights = torch.full((len(rows), examples), -math.log(examples), device=device)
        for i, rung in enumerate(rungs):
            every = rung.log_probs(rows)
            own = every[torch.arange(len(rows), device=device), owner[rows]]
            marginals = (log_weights[:, :, None] + every).logsumexp(1)
            weighted = log_weights + every.sum(2)
            joint = weighted.logsumexp(1)
            terms[i].append(
                torch.stack([own.sum(1) - joint, joint - rung.log_prior[rows], joint - marginals.sum(1)]).double()
            )
            of_units[i] = of_units[i] + (own - marginals).double().sum(0) / drawn
            log_weights = weighted - joint[:, None]
    return [
        _decomposition(rung, torch.cat(parts, 1), torch.as_tensor(information))
        for rung, parts, information in zip(rungs, terms, of_units, strict=True)
    ]


def _decomposition(rung: Rung, terms: Tensor, drawn_information: Tensor) -> Decomposition:
    information, divergence, correlation = (Estimate(values) for values in terms)
    if rung.is_one_unit:
        return Decomposition(information, divergence, None)
    of_units = drawn_information if rung.unit_information is None else rung.unit_information
    return Decomposition(information, divergence, Units(correlation, of_units))


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
