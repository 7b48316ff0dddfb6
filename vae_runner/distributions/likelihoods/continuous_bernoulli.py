"""The continuous Bernoulli of Loaiza-Ganem and Cunningham 2019: the density on [0, 1] that the cross-entropy lacks.

log p(x|z) = sum_d [ x_d l_d - A(l_d) ], A(l) = log((exp(l) - 1) / l): an exponential family, A'(l) = E[x].
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from vae_runner import noise
from vae_runner.distributions.likelihoods.likelihood import Likelihood
from vae_runner.distributions.numerics import at_least_float32, sum_event

# below it a series is exact to float32, above it the formula is
NEAR_ZERO = 0.2


def mean_of(logits: Tensor) -> Tensor:
    """E[x] = 1 / (1 - exp(-l)) - 1 / l, which is not sigmoid(l); near 0: 1/2 + l / 12 - l^3 / 720 + l^5 / 30240."""
    near = logits.abs() < NEAR_ZERO
    square = logits.square()
    series = 0.5 + logits * (1 / 12 - square * (1 / 720 - square / 30240))
    # both branches are differentiated, so the formula must not see the zero it is undefined at
    logits = torch.where(near, 1.0, logits)
    return torch.where(near, series, 0.5 + 0.5 / (0.5 * logits).tanh() - 1 / logits)


class LogNormaliser(torch.autograd.Function):
    """A(l), and E[x] as its derivative: differentiating the formula of A would lose all digits near 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor) -> Tensor:
        # A(l) = max(l, 0) + log((1 - exp(-|l|)) / |l|), which cannot overflow; near 0: -|l|/2 + l^2/24 - l^4/2880
        rate, square = logits.abs(), logits.square()
        series = square * (1 / 24 - square / 2880) - rate / 2
        formula = rate.neg().exp_().neg_().add_(1).div_(rate).log_()
        return torch.where(rate < NEAR_ZERO, series, formula).add_(logits.clamp_min(0))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (logits,) = ctx.saved_tensors
        return gradient * mean_of(logits)


class IndependentContinuousBernoulli:
    """N examples of independent pixels, `logits` (N, *shape)."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = at_least_float32(logits)

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x) in nats, (N,), of x (N, *shape) in [0, 1]."""
        return sum_event(x * self.logits - LogNormaliser.apply(self.logits), mask)

    @property
    def mean(self) -> Tensor:
        return mean_of(self.logits)

    def sample(self) -> Tensor:
        """The inverse distribution function of a uniform number, for -|l|, which cannot overflow, then mirrored."""
        rate = self.logits.abs().clamp_min(1e-30).neg()
        x = (noise.uniform_like(rate) * rate.expm1()).log1p() / rate
        return torch.where(self.logits > 0, 1 - x, x).clamp(0, 1)


class ContinuousBernoulli(Likelihood):
    """One logit per value."""

    option: ClassVar[str] = "continuous_bernoulli"
    supports: ClassVar[set[str]] = {"unit"}
    fixes: ClassVar[dict[str, str]] = {"binary": "likelihood=bernoulli", "real": "likelihood=gaussian"}

    def forward(self, parameters: Tensor) -> IndependentContinuousBernoulli:
        return IndependentContinuousBernoulli(parameters)
