"""What a model has to say about a batch: the densities that objectives and figures are made of.

S samples per example, B examples. Everything is in nats per example, summed over event dimensions, and lazy: a density
that nobody asks for is not computed.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass
class Level:
    """The latents of one level: z (S, B, *latent_shape) drawn from q(z|x), and the prior p(z) they are held against.

    q is over B examples; below the top of a ladder q and p are over S*B, for they follow from the level above.
    features: what the network knows of a level when z is drawn, (S*B, ...); the level below goes on from there.
    proposed: below the top, what x alone says of z, over B examples: q is that, merged with p.
    """

    z: Tensor
    q: Any
    p: Any
    features: Tensor | None = None
    proposed: Any = None

    @property
    def samples(self) -> int:
        return len(self.z)

    @property
    def per_sample(self) -> bool:
        """Whether q and p are over S*B examples."""
        return len(self.q.mean) != self.z.shape[1]

    @property
    def code(self) -> Tensor:
        """The deterministic representation (B, *latent_shape): the mean of q, over the samples of the level above."""
        mean = self.q.mean
        return mean.view(self.z.shape).mean(0) if self.per_sample else mean

    @property
    def has_density(self) -> bool:
        """False for a deterministic code: then log q and the divergence are not defined."""
        return hasattr(self.q, "log_prob")

    @cached_property
    def log_q(self) -> Tensor:
        """log q(z|x), (S, B)."""
        return self.density(self.q)

    @cached_property
    def log_p(self) -> Tensor:
        """log p(z), (S, B)."""
        return self.density(self.p)

    def density(self, distribution: Any) -> Tensor:
        """The log-density of z under a distribution over z, over B examples or over S*B, (S, B)."""
        if self.per_sample:
            return distribution.log_prob(self.z.flatten(0, 1)[None]).view(self.z.shape[:2])
        return distribution.log_prob(self.z)

    @cached_property
    def closed_form_kl(self) -> Tensor | None:
        return self.q.kl_units(self.p)

    @property
    def kl_is_estimate(self) -> bool:
        """Whether `kl_units` is a Monte Carlo estimate of log q - log p, which may be negative."""
        return self.closed_form_kl is None

    @cached_property
    def kl_units(self) -> Tensor:
        """KL(q(z|x) || p(z)) by unit, (B, units); one unit for the whole level where there is no closed form."""
        kl = self.closed_form_kl
        if kl is None:
            return (self.log_q - self.log_p).mean(0)[:, None]
        return kl.unflatten(0, self.z.shape[:2]).mean(0) if self.per_sample else kl


@dataclass
class Evidence:
    """A decoded batch: px = p(x|z) over S*B examples, its target x (B, *shape), and the levels z was drawn at.

    levels: the one next to x first. context: what the networks were told besides, (B, ...). penalties: scalars that
    every objective adds to its loss. figures: scalars that are only logged.
    """

    px: Any
    x: Tensor
    mask: Tensor | None
    levels: list[Level]
    context: Tensor | None = None
    penalties: dict[str, Tensor] = field(default_factory=dict)
    figures: dict[str, Tensor] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return len(self.levels[0].z)

    @property
    def top(self) -> Level:
        """The level that is held against the configured prior."""
        return self.levels[-1]

    @property
    def has_density(self) -> bool:
        return all(level.has_density for level in self.levels)

    @property
    def kl_is_estimate(self) -> bool:
        return any(level.kl_is_estimate for level in self.levels)

    @property
    def enumerated(self) -> "Evidence":
        """The same, with a row for each class of an example where classes are latent too."""
        return self

    def summed(self, log_w: Tensor) -> Tensor:
        """Log weights (S, B) of examples, from those of the rows of `enumerated`."""
        return log_w

    @cached_property
    def log_px(self) -> Tensor:
        """log p(x|z), (S, B)."""
        x, mask, samples = self.x, self.mask, self.samples
        if samples > 1:
            x = x.repeat(samples, *[1] * (x.dim() - 1))
            mask = None if mask is None else mask.repeat(samples, *[1] * (mask.dim() - 1))
        return self.px.log_prob(x, mask).view(samples, -1)

    @cached_property
    def mean_log_px(self) -> Tensor:
        """The mean of log_px, a scalar."""
        return self.log_px.mean()

    @cached_property
    def log_pz(self) -> Tensor:
        """log p(z), (S, B), summed over the levels."""
        return _sum(level.log_p for level in self.levels)

    @cached_property
    def log_qz(self) -> Tensor:
        """log q(z|x), (S, B), summed over the levels."""
        return _sum(level.log_q for level in self.levels)

    @cached_property
    def log_w(self) -> Tensor:
        """The log importance weight log p(x, z) - log q(z|x), (S, B)."""
        return self.log_px + self.log_pz - self.log_qz

    @cached_property
    def kl(self) -> Tensor:
        """KL(q(z|x) || p(z)), (B,), summed over units and levels."""
        return _sum(level.kl_units.sum(1) for level in self.levels)


def _sum(tensors: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, tensors)
