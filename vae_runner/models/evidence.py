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
    """The latents of one level: z (S, B, *latent_shape) drawn from q(z|x), and the prior p(z) they are held against."""

    z: Tensor
    q: Any
    p: Any

    @property
    def code(self) -> Tensor:
        """The deterministic representation (B, *latent_shape): the mean of q."""
        return self.q.mean

    @property
    def has_density(self) -> bool:
        """False for a deterministic code: then log q and the divergence are not defined."""
        return hasattr(self.q, "log_prob")

    @cached_property
    def log_q(self) -> Tensor:
        """log q(z|x), (S, B)."""
        return self.q.log_prob(self.z)

    @cached_property
    def log_p(self) -> Tensor:
        """log p(z), (S, B)."""
        return self.p.log_prob(self.z)

    @cached_property
    def closed_form_kl(self) -> Tensor | None:
        return self.q.kl_units(self.p)

    @property
    def kl_is_estimate(self) -> bool:
        """Whether `kl_units` is a Monte Carlo estimate from the S samples, which may be negative."""
        return self.closed_form_kl is None

    @cached_property
    def kl_units(self) -> Tensor:
        """KL(q(z|x) || p(z)) by unit, (B, units); one unit for the whole level where there is no closed form."""
        if self.closed_form_kl is not None:
            return self.closed_form_kl
        return (self.log_q - self.log_p).mean(0)[:, None]


@dataclass
class Evidence:
    """A decoded batch: px = p(x|z) over S*B examples, its target x (B, *shape), and the levels z was drawn at."""

    px: Any
    x: Tensor
    mask: Tensor | None
    levels: list[Level]
    penalties: dict[str, Tensor] = field(default_factory=dict)  # scalars that every objective adds to its loss

    @property
    def samples(self) -> int:
        return len(self.levels[0].z)

    @property
    def has_density(self) -> bool:
        return all(level.has_density for level in self.levels)

    @property
    def kl_is_estimate(self) -> bool:
        return any(level.kl_is_estimate for level in self.levels)

    @cached_property
    def log_px(self) -> Tensor:
        """log p(x|z), (S, B)."""
        x, mask, samples = self.x, self.mask, self.samples
        if samples > 1:
            x = x.repeat(samples, *[1] * (x.dim() - 1))
            mask = None if mask is None else mask.repeat(samples, *[1] * (mask.dim() - 1))
        return self.px.log_prob(x, mask).view(samples, -1)

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
