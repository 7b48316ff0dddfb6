"""What every log-density here relies on to be exact in any precision."""

import math

import torch
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
