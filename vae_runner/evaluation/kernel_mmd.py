"""The kernel distance of two sets of features, without bias at any number of examples (Binkowski et al. 2018).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),  k(x, y) = (x'y / D + 1)^3

Known as KID where the features are those of an Inception network (often given times 1000). The kernel sees how the
first three moments differ: with M_j the tensors of the raw moments of order j, it is

    MMD^2 = sum_j binom(3, j) |M_j(x) - M_j(y)|^2 / D^j,  j = 1, 2, 3

It is 0 for equal distributions, and its unbiased estimate (Gretton et al. 2012, lemma 6) may be below.

The published estimate averages random subsets that overlap; here the blocks are disjoint, so that their estimates are
independent and the spread gives an honest standard error. (The MMD of the objectives has kernels of distances.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, pair

ROWS = 1024  # of a kernel matrix at a time


@dataclass
class KernelDistance:
    """mean: of MMD^2 over the blocks. standard_error: of that mean; None from one block. blocks: how many."""

    mean: float
    standard_error: float | None
    blocks: int


def kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    """The sum of k over all pairs of x (N, D) and y (M, D)."""
    d = x.shape[1]
    return torch.stack([((rows @ y.T) / d + 1).pow(3).sum() for rows in x.split(ROWS)]).sum()


def polynomial_mmd(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased MMD^2, a scalar, of x (N, D) and y (M, D), both with at least two examples."""
    own = [
        (kernel_sum(a, a) - (a.square().sum(1) / a.shape[1] + 1).pow(3).sum()) / (len(a) * (len(a) - 1)) for a in (x, y)
    ]
    return own[0] + own[1] - 2 * kernel_sum(x, y) / (len(x) * len(y))


def kernel_distance(x: Tensor, y: Tensor, *, blocks: int = 10, seed: int = 0) -> KernelDistance:
    """MMD^2 of features x (N, D) and y (M, D), averaged over `blocks` disjoint blocks of both.

    The blocks are drawn from `seed`, whatever order the examples have. Each needs two examples: N, M >= 2 blocks.
    """
    x, y = (exact(a) for a in pair(x, y, "features", "features of the data", least=2))
    fewest = min(len(x), len(y))
    if not 1 <= blocks <= fewest // 2:
        raise UserError(f"blocks={blocks}: {fewest} examples make 1 to {fewest // 2} blocks of at least two")
    generator = torch.Generator().manual_seed(seed)
    parts = [a[torch.randperm(len(a), generator=generator).to(a.device)].tensor_split(blocks) for a in (x, y)]
    estimates = torch.stack([polynomial_mmd(a, b) for a, b in zip(*parts, strict=True)])
    error = float(estimates.std()) / blocks**0.5 if blocks > 1 else None
    return KernelDistance(float(estimates.mean()), error, blocks)
