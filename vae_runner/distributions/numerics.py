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
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), exact to the rounding of the sum that it goes into."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return F.softplus(x)
        # torch's own takes log1p, which takes eight times as long as log on a CPU
        return x.abs().neg_().exp_().add_(1).log_().add_(x.clamp_min(0))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x.sigmoid()


class BinaryCrossEntropy(torch.autograd.Function):
    """-[x log s + (1 - x) log(1 - s)] = log(1 + exp(l)) - x l of logits l and x of one shape, s = sigmoid(l).

    Its derivative by l is s - x: one Function for both goes over all pixels half as often as one for each term.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, x: Tensor) -> Tensor:
        return torch.addcmul(Softplus.forward(logits), x, logits, value=-1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, x = ctx.saved_tensors
        by_logits, by_x = ctx.needs_input_grad
        return (
            (logits.sigmoid() - x).mul_(gradient) if by_logits else None,
            -logits * gradient if by_x else None,
        )


def binary_cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    """Per value, in nats, of values x in [0, 1]; the two broadcast."""
    return BinaryCrossEntropy.apply(*torch.broadcast_tensors(logits, x))


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), for densities that are summed: below -16 it is zero in float32."""
    return Softplus.apply(x)
