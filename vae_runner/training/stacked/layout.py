"""How tensors of J runs lie side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor


def side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    """(J, ...) of J tensors; matrices lie there transposed, as the gradients of matrices that x is multiplied by do."""
    if tensors[0].ndim == 2:
        return torch.stack([tensor.detach().mT for tensor in tensors]).mT
    return torch.stack([tensor.detach() for tensor in tensors])


def as_it_lies(tensor: Tensor) -> Tensor:
    """(J, ...), matrices transposed: contiguous, as fused optimizers take it for granted of all that they are given."""
    return tensor.mT if tensor.ndim == 3 else tensor


def row_of(tensor: Tensor, row: int) -> Tensor:
    """A run's own of what lies so."""
    return tensor[row].mT if tensor.ndim == 3 else tensor[row]


def norms_of(gradient: Tensor) -> Tensor:
    """(J, ...) -> (J,)."""
    if gradient.ndim == 1:
        return gradient.abs()
    rows = torch.linalg.vector_norm(as_it_lies(gradient), dim=-1)  # first, for a GPU is not filled by a few long sums
    return torch.linalg.vector_norm(rows, dim=tuple(range(1, rows.ndim))) if rows.ndim > 1 else rows


def along(values: Tensor, tensor: Tensor) -> Tensor:
    """values (J,), as they multiply a tensor (J, ...)."""
    return values.view(-1, *[1] * (tensor.ndim - 1))
