"""torch's fused updates, written in operators that its compiler fuses with what is around them.

A fused kernel is one call for the compiler, before which all gradients have to be in memory; and on a GPU it gives the
numbers of a small model to a few of the multiprocessors.

They return what is the same for all numbers of a tensor: the compiler computes what is returned once, and whatever else
is small anew for each number.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def adam(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    largest: Sequence[Tensor],
    steps: Sequence[Tensor],
    *,
    decoupled: bool = False,
    lr: Tensor | float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> list[Tensor]:
    """Kingma & Ba 2015, algorithm 1. decoupled: with the weight decay of AdamW (Loshchilov & Hutter 2019)."""
    assert not amsgrad
    assert not maximize
    assert grad_scale is None
    taken = torch.stack([*steps])
    rates, roots = lr / _corrected(beta1, taken), _corrected(beta2, taken).sqrt()
    tensors = zip(parameters, gradients, means, squares, rates.unbind(), roots.unbind(), strict=True)
    for parameter, gradient, mean, square, rate, root in tensors:
        kept = parameter
        if weight_decay and decoupled:
            kept = parameter - lr * weight_decay * parameter
        elif weight_decay:
            gradient = gradient + weight_decay * parameter
        new_mean = torch.lerp(mean, gradient, 1 - beta1)
        new_square = beta2 * square + (1 - beta2) * gradient * gradient
        new = kept - rate * new_mean / (new_square.sqrt() / root + eps)
        _write(found_inf, (parameter, new), (mean, new_mean), (square, new_square))
    return [rates, roots]


def _corrected(beta: float, steps: Tensor) -> Tensor:
    """1 - beta^steps, whose difference single precision would lose."""
    return -torch.expm1(steps * math.log(beta)) if beta else torch.ones_like(steps)


def adamw(*tensors: Any, **settings: Any) -> list[Tensor]:
    return adam(*tensors, decoupled=True, **settings)


def sgd(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    momenta: Sequence[Tensor],
    *,
    weight_decay: float,
    momentum: float,
    lr: Tensor | float,
    dampening: float,
    nesterov: bool,
    maximize: bool,
    is_first_step: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> list[Tensor]:
    """Stochastic gradient descent."""
    assert not maximize
    assert not is_first_step
    assert grad_scale is None
    for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        if weight_decay:
            gradient = gradient + weight_decay * parameter
        if not momentum:
            _write(found_inf, (parameter, parameter - lr * gradient))
            continue
        new_momentum = momentum * momenta[number] + (1 - dampening) * gradient
        moves_by = gradient + momentum * new_momentum if nesterov else new_momentum
        _write(found_inf, (parameter, parameter - lr * moves_by), (momenta[number], new_momentum))
    return []


def _write(found_inf: Tensor | None, *pairs: tuple[Tensor, Tensor]) -> None:
    """New values over old ones, unless an infinity was found."""
    for old, new in pairs:
        old.copy_(new if found_inf is None else torch.where(found_inf == 1, old, new))


UPDATES: dict[Any, Callable[..., list[Tensor]]] = {
    **dict.fromkeys((aten._fused_adam_.default, aten._fused_adam_.tensor_lr), adam),
    **dict.fromkeys((aten._fused_adamw_.default, aten._fused_adamw_.tensor_lr), adamw),
    **dict.fromkeys((aten._fused_sgd_.default, aten._fused_sgd_.tensor_lr), sgd),
}
