"""Categorical variables as one-hot vectors, relaxed by the Gumbel-softmax (Jang et al. 2017; Maddison et al. 2017).

z = softmax((log pi + g) / temperature),   g ~ Gumbel(0, 1)        relaxed, with a gradient
z = one_hot(argmax(log pi + g))                                    the categorical itself
KL(q || uniform over C classes) = sum_variables [ log C + sum_c pi_c log pi_c ]
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner import noise
from vae_runner.distributions.codes import UniformCodes
from vae_runner.distributions.numerics import at_least_float32


class OneHots:
    """N times V independent variables of C classes, `logits` (N, V * C, *rest), the classes of a variable in a row.

    temperature: of the relaxation; None draws real one-hots. hard: one-hots, with the gradient of the relaxation.
    """

    def __init__(self, logits: Tensor, classes: int, temperature: float | None = None, hard: bool = False) -> None:
        self.classes, self.temperature, self.hard = classes, temperature, hard
        self.log_chances = at_least_float32(logits).unflatten(1, (-1, classes)).log_softmax(2)

    def __getitem__(self, examples: slice) -> "OneHots":
        """Those of some of the N examples."""
        return OneHots(self.log_chances[examples].flatten(1, 2), self.classes, self.temperature, self.hard)

    @property
    def mean(self) -> Tensor:
        """The chances of the classes, (N, V * C, *rest)."""
        return self.log_chances.exp().flatten(1, 2)

    def sample(self, samples: int = 1) -> Tensor:
        """Samples (samples, N, V * C, *rest)."""
        exponential = noise.exponential(self.log_chances, (samples, *self.log_chances.shape), 1)
        noisy = self.log_chances - exponential.log()
        if self.temperature is None:
            return _one_hot(noisy).flatten(2, 3)
        relaxed = (noisy / self.temperature).softmax(3)
        return (_one_hot(noisy) + (relaxed - relaxed.detach()) if self.hard else relaxed).flatten(2, 3)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, (..., N), of one-hots z (..., N, V * C, *rest); linear between them, for relaxed ones."""
        log_chances = self.log_chances.flatten(1, 2)
        return (z * log_chances).flatten(1 - log_chances.ndim).sum(-1)

    def kl_units(self, p: Any) -> Tensor | None:
        """KL(q || p) in nats of each variable, (N, V), where p is uniform; else None: no closed form."""
        if not isinstance(p, UniformCodes):
            return None
        negative_entropy = (self.log_chances.exp() * self.log_chances).sum(2, keepdim=True).flatten(2)
        return (math.log(self.classes) + negative_entropy).flatten(2).sum(2)


def _one_hot(values: Tensor) -> Tensor:
    """1 where a value is the largest along dimension 3."""
    return torch.zeros_like(values).scatter_(3, values.argmax(3, keepdim=True), 1.0)


def choices_of(start: int, stop: int, classes: int, like: Tensor) -> list[tuple[slice, Tensor]]:
    """The channels of each variable from `start` to `stop`, and its one-hots, on the device of `like`."""
    rows = torch.eye(classes, dtype=like.dtype, device=like.device)
    return [(slice(first, first + classes), rows) for first in range(start, stop, classes)]


def uniform_one_hots(latent_shape: tuple[int, ...], classes: int, like: Tensor) -> UniformCodes:
    """The uniform distribution over latents (V * C, *rest), on the device of `like`."""
    channels, *rest = latent_shape
    grid = (channels // classes, *rest)

    def draw(n: int) -> Tensor:
        chosen = noise.integers(classes, (n, *grid), device=like.device)
        rows = torch.eye(classes, dtype=like.dtype, device=like.device)
        return F.embedding(chosen, rows).movedim(-1, 2).flatten(1, 2)

    return UniformCodes(latent_shape, math.prod(grid) * math.log(classes), draw)
