"""What every log-density here relies on to be exact in any precision."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_TWO_PI = math.log(2 * math.pi)


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32, or in float64 where it is: a sum over hundreds of dimensions in bfloat16 is off by whole nats."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def sum_event(terms: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sums (N, *event) over the event to (N,); `mask`, 1 where a term counts, broadcasts to (N, *event)."""
    if mask is not None:
        terms = terms * mask
    return terms.flatten(1).sum(1)


def values(terms: Tensor, mask: Tensor | None = None) -> int | Tensor:
    """How many of the terms (N, *event) of an event count: as many for each, or (N,)."""
    return terms[0].numel() if mask is None else sum_event(mask.expand_as(terms))


class Softplus(torch.autograd.Function):
    """log(1 + exp(x)) = max(x, 0) - log sigmoid(|x|), each term off by no more than rounding a number near 1 is."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return F.softplus(x)
        # torch's own takes log1p, which takes eight times as long as log on a CPU
        return x.clamp_min(0).sub_(x.abs().sigmoid_().log_())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x.sigmoid()


class BernoulliLogProb(torch.autograd.Function):
    """sum_d m_d [ x_d l_d - log(1 + exp(l_d)) ], (N,), of logits l and values x (N, *event) and a mask m, or none.

    Its derivative by l is m (x - sigmoid(l)): one Function for all of it goes over the pixels less often than one for
    each term. On a CPU, where a logarithm takes as long as five products, one is taken of 16 factors: these are of
    1/2 to 1, so that no product is too small.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        if logits.device.type != "cpu":
            return -sum_event(torch.addcmul(F.softplus(logits), x, logits, value=-1), mask)
        rest = sum_event(torch.addcmul(logits.clamp_min(0), x, logits, value=-1), mask)
        factors = logits.abs().sigmoid_()  # log(1 + exp(l)) = max(l, 0) - log sigmoid(|l|)
        factors = (factors if mask is None else factors.where(mask != 0, 1)).flatten(1)
        together = math.gcd(factors.shape[1], 16)
        return factors.unflatten(1, (together, -1)).prod(1).log_().sum(1) - rest

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        logits, x, mask = ctx.saved_tensors
        by_logits, by_x, _ = ctx.needs_input_grad
        gradient = gradient.view(-1, *[1] * (logits.ndim - 1))
        gradient = gradient if mask is None else gradient * mask
        return (x - logits.sigmoid()).mul_(gradient) if by_logits else None, logits * gradient if by_x else None, None


def bernoulli_log_prob(logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """log p(x) in nats, (N,), of independent pixels x (N, *event) in [0, 1]; logits, x and mask broadcast.

    mask: 1 where a pixel counts, 0 where not.
    """
    logits, x = torch.broadcast_tensors(logits, x)
    return BernoulliLogProb.apply(logits, x, mask)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), for densities that are summed: below -16 it is zero in float32."""
    return Softplus.apply(x)
