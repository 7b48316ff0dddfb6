"""The levels of latents of N examples, from the top down: how dense each z is under the posteriors of all of them.

In a ladder q(z_l|z_>, x) is what x proposes, merged with what z_> lets expect, so that it is known of every pair of a
z and an example without asking a network again; the examples count by how well they agree with z_>:

    q(z_l|z_>) = sum_n w_n q(z_l|z_>, x_n),   w_n = q(z_>|x_n) / sum_m q(z_>|x_m)
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.evaluation import units
from vae_runner.models.evidence import Level


@dataclass(frozen=True)
class Top:
    """z (M, *latent_shape) drawn of N examples in turn, their posteriors q, of `units.KNOWN`, and the prior p."""

    z: Tensor
    q: Any
    p: Any

    def log_probs(self, rows: Tensor) -> Tensor:
        """log q(z_d|x_n) of each unit d of the z in some rows, under each of the N, (rows, N, units)."""
        return units.log_probs(self.q, self.z[rows])

    @cached_property
    def log_prior(self) -> Tensor:
        """log p(z), (M,)."""
        return self.p.log_prob(self.z.unflatten(0, (-1, len(self.q.mean)))).flatten()

    def unit_information(self) -> Tensor | None:
        """I(x; z_d) of each unit, which need not be drawn; None where all of z is one unit."""
        return units.information(self.q)


@dataclass(frozen=True)
class Below:
    """z (N, *latent_shape), one of each example, what each proposes, and p(z|z_>), z_> being what was drawn of it."""

    z: Tensor
    proposed: DiagonalGaussian
    p: DiagonalGaussian

    def log_probs(self, rows: Tensor) -> Tensor:
        """log q(z_d|z_>, x_n), likewise."""
        return units.merged_log_probs(self.proposed, self.p[rows], self.z[rows])

    @cached_property
    def log_prior(self) -> Tensor:
        """log p(z|z_>), (N,)."""
        return self.p.log_prob(self.z)


Rung = Top | Below


def rungs_of(batches: Sequence[Sequence[Level]]) -> list[Rung]:
    """Those of the levels of some batches, one z for each example, the level next to x first; the top rung first."""
    *lower, tops = ([*of_level] for of_level in zip(*batches, strict=True))
    rungs: list[Rung] = [Top(_drawn(tops), units.together([top.q for top in tops]), tops[-1].p)]
    for levels in reversed(lower):
        proposed, p = (units.together([getattr(level, name) for level in levels]) for name in ("proposed", "p"))
        rungs.append(Below(_drawn(levels), proposed, p))
    return rungs


def _drawn(levels: Sequence[Level]) -> Tensor:
    return torch.cat([level.z[0] for level in levels])


@dataclass(frozen=True)
class Pairs:
    """Some z of a level, each with all examples. every: log q(z_d|z_>, x_n), (M, N, units); own: of its own.

    log_weights: log w_n, (M, N). weighted: log w_n q(z|z_>, x_n). joint: log q(z|z_>), (M,).
    """

    every: Tensor
    own: Tensor
    log_weights: Tensor

    @cached_property
    def weighted(self) -> Tensor:
        return self.log_weights + self.every.sum(2)

    @cached_property
    def joint(self) -> Tensor:
        return self.weighted.logsumexp(1)

    @property
    def information(self) -> Tensor:
        """log q(z|z_>, x) - log q(z|z_>), x being the example that z is of, (M,)."""
        return self.own.sum(1) - self.joint


def down(rungs: Sequence[Rung], rows: Tensor) -> Iterator[Pairs]:
    """Those of each level, the top one first."""
    examples = _examples(rungs)
    log_weights = torch.full((len(rows), examples), -math.log(examples), device=rows.device)
    for rung in rungs:
        every = rung.log_probs(rows)
        own = every[torch.arange(len(rows), device=rows.device), rows % examples]
        pairs = Pairs(every, own, log_weights)
        yield pairs
        log_weights = pairs.weighted - pairs.joint[:, None]


def rows_of(rungs: Sequence[Rung], most: int, least: int) -> tuple[Tensor, ...]:
    """Which z expectations are over, in parts that fit into memory."""
    examples, sizes, z = _examples(rungs), [rung.z[0].numel() for rung in rungs], rungs[0].z
    drawn = min(len(z), max(most // (examples * sum(sizes)), least))
    return torch.arange(drawn, device=z.device).split(max(units.CHUNK // (examples * max(sizes)), 1))


def _examples(rungs: Sequence[Rung]) -> int:
    top = rungs[0]
    assert isinstance(top, Top)
    return len(top.q.mean)
