"""Batch normalisation of a GPU's library, by the operators that torch's compiler knows.

The library's own do not say that they move running means and variances, which the compiler then may leave out.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (N, C, ...), the others (C,). Returns it normalised, the mean and 1 / standard deviation of the batch (C,), and
    a tensor of nothing, for what the library keeps for itself.
    """
    results = aten.native_batch_norm.default(x, weight, bias, mean, variance, training, momentum, eps)
    return *results, x.new_empty(0, dtype=torch.uint8)


def backward(
    x: Tensor,
    gradient: Tensor,
    weight: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    batch_mean: Tensor,
    batch_scale: Tensor,
    eps: float,
    _: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Of a forward pass in training: the gradients of x, weight and bias."""
    return aten.native_batch_norm_backward.default(
        gradient, x, weight, mean, variance, batch_mean, batch_scale, True, eps, [True, True, True]
    )


BATCH_NORM: dict[Any, Callable[..., Any]] = {
    aten.cudnn_batch_norm.default: forward,
    aten.cudnn_batch_norm_backward.default: backward,
}
