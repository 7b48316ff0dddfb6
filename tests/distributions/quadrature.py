"""Numerical integration in two dimensions."""

import itertools

import numpy as np
import torch
from torch import Tensor


def plane(edges: list[list[float]], nodes: int = 60) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre points (M, 2) and weights (M,) on a rectangle; `edges`, of each axis, say where pieces meet."""
    roots, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(nodes))
    axes = []
    for points in edges:
        pieces = [(low, high) for low, high in itertools.pairwise(points) if high > low]
        at = torch.cat([(high - low) / 2 * roots + (high + low) / 2 for low, high in pieces])
        axes.append((at, torch.cat([(high - low) / 2 * weights for low, high in pieces])))
    (first, first_weights), (second, second_weights) = axes
    return torch.cartesian_prod(first, second), torch.cartesian_prod(first_weights, second_weights).prod(1)
