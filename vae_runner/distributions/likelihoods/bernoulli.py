"""Independent coin flips: log p(x|z) = sum_d [ x_d log s_d + (1 - x_d) log(1 - s_d) ], s = sigmoid(logits).

In its logits l it is an exponential family, sum_d [ x_d l_d - log(1 + exp(l_d)) ].

On binary data this is a probability mass. On values between 0 and 1 it is the cross-entropy that tutorials minimise: a
sensible loss, but normalised over {0, 1} only, and so no likelihood of grey levels; `continuous_bernoulli` is.
"""

from typing import ClassVar

from torch import Tensor

from vae_runner import noise
from vae_runner.distributions.likelihoods.likelihood import Likelihood
from vae_runner.distributions.numerics import at_least_float32, bernoulli_log_prob


class IndependentBernoulli:
    """N examples of independent pixels, `logits` (N, *shape)."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = at_least_float32(logits)

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x) in nats, (N,), of x (N, *shape) in [0, 1]."""
        return bernoulli_log_prob(self.logits, x, mask)

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()

    def sample(self) -> Tensor:
        return (noise.uniform_like(self.mean) < self.mean).to(self.mean.dtype)


class Bernoulli(Likelihood):
    """One logit per value."""

    option: ClassVar[str] = "bernoulli"
    supports: ClassVar[set[str]] = {"binary", "unit"}
    fixes: ClassVar[dict[str, str]] = {"real": "likelihood=gaussian"}
    discrete: ClassVar[bool] = True

    def forward(self, parameters: Tensor) -> IndependentBernoulli:
        return IndependentBernoulli(parameters)
