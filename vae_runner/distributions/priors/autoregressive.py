"""A learned prior over sequences of codes, p(k_1, ..., k_P | c) = prod_i p(k_i | k_1, ..., k_i-1, c).

What a VQ-VAE is sampled from (van den Oord et al. 2017, section 3.3). It is learned by the KL term, -log p of the codes
of each batch, at the same time as everything else.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from vae_runner import noise
from vae_runner.data.space import Space
from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.priors.prior import Prior
from vae_runner.settings import Range


class CodeSequences:
    """The distribution over sequences of codes in a context (B, ...), or without one."""

    def __init__(self, prior: "Autoregressive", context: Tensor | None) -> None:
        self.prior, self.context = prior, context

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (*batch,), of codes as latents z (*batch, *latent_shape), the batch ending in B."""
        codes = self.prior.indices_of(z)
        batch = codes.shape[:-1]
        context = self.context
        if context is not None:
            context = context.expand(*batch, *context.shape[1:]).flatten(0, len(batch) - 1)
        flat = codes.flatten(0, -2)
        log_chances = self.prior.log_chances(flat, context).gather(-1, flat[..., None])
        return log_chances.sum((1, 2)).view(batch)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """Samples (n, *latent_shape), of the n contexts; `temperature` divides the logits; 0 takes the likeliest."""
        return self.prior.draw(n, self.context, temperature)


class Autoregressive(Prior):
    """A recurrent network (GRU) over the codes in order, told the place it is at and the context."""

    provides: ClassVar[set[str]] = {"density", "sample", "over_codes"}
    requires: ClassVar[dict[str, str]] = {
        "posterior.indices": "it predicts codes from a codebook one by one: type posterior=quantized, or prior=uniform",
    }

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: tuple[int, ...] = (),
        *,
        width: Annotated[int, Range(1, 65536)] = 64,
        depth: Annotated[int, Range(1, 64)] = 1,
        dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.3,
    ) -> None:
        super().__init__(latent_shape, context)
        self.width = width
        self.of_context = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(context), width)) if context else None
        self.recurrent = nn.GRU(width, width, depth, batch_first=True)
        self.dropout = noise.Dropout(dropout)

    def attach(self, space: Space, posterior: Any, encode: Callable[..., Any]) -> None:
        """Adds the layers whose sizes are the posterior's: `codes` of each of its `positions`."""
        self.indices_of, self.vectors = posterior.indices_of, posterior.vectors
        self.nothing = posterior.codes  # stands before the first code
        self.previous = nn.Embedding(posterior.codes + 1, self.width)
        self.place = nn.Parameter(torch.randn(posterior.positions, self.width))
        self.head = nn.Linear(self.width, posterior.codes)

    def forward(self, context: Tensor | None = None) -> CodeSequences:
        return CodeSequences(self, context)

    def log_chances(self, codes: Tensor, context: Tensor | None) -> Tensor:
        """log p(k_i | k_1, ..., k_i-1, c) of every code there might be, (N, P, codes), after codes (N, P)."""
        previous = torch.cat([torch.full_like(codes[:, :1], self.nothing), codes[:, :-1]], 1)
        return self._advance(previous, self.place, context, None)[0]

    def draw(self, n: int, context: Tensor | None, temperature: float) -> Tensor:
        """n latents (n, *latent_shape), a code after the other."""
        code = torch.full((n, 1), self.nothing, device=self.place.device)
        codes, state = [], None
        for place in self.place.split(1):
            log_chances, state = self._advance(code, place, context, state)
            # the largest after Gumbel noise: a draw from the chances
            exponential = noise.exponential_like(log_chances)
            code = (log_chances - temperature * exponential.log()).argmax(-1)
            codes.append(code)
        return self.vectors(torch.cat(codes, 1))

    def _advance(
        self, previous: Tensor, place: Tensor, context: Tensor | None, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Over T places, (T, width), from the codes before them, (N, T)."""
        h = self.previous(previous) + place
        if self.of_context is not None:
            h = h + self.of_context(context)[:, None]
        h, state = self.recurrent(h, state)
        return at_least_float32(self.head(self.dropout(h))).log_softmax(-1), state
