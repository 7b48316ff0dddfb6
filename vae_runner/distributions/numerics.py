"""What every log-density here relies on to be exact in any precision."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_TWO_PI = math.log(2 * math.pi)


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32, or in float64 where it is: a sum over hundreds of dimensions in bfloat16 is off by whole nats."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


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


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), for densities that are summed: below -16 it is zero in float32."""
    return Softplus.apply(x)
