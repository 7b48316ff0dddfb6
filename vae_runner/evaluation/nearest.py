"""Nearest neighbours in the training set, and whether samples lie nearer to it than new examples do.

A model that copies has samples that lie closer to training examples than held-out examples lie. Two figures compare the
distances d(sample, train) and d(held-out, train):

    share:  of samples nearer than the q-quantile of the held-out distances; q where nothing is copied
    z:      of the Mann-Whitney rank test that d(sample, train) is the larger one half of the time,
            z = (U - n m / 2) / s,  s^2 = n m / 12 (n + m + 1 - sum_ties (t^3 - t) / ((n + m) (n + m - 1)))
            standard normal where nothing is copied, far below zero for copying, far above for samples off the data

The second is the statistic C_T of Meehan, Chaudhuri and Dasgupta (2020), taken over the whole space instead of cell by
cell. The held-out examples must come from the distribution of the training examples. The nearest q M of M set the
threshold, so that the share is uncertain by a factor of about 1 +- 1 / sqrt(q M); z grows with the numbers of examples.
Blurred images lie near everything in pixels and look like copies to z: compare draws rather than means, or features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, pair
from vae_runner.evaluation.standard_errors import Figures, Rows, of_groups, partitions

PAIRS = 2**23  # distances held at once: 64 MB in double precision


@dataclass
class Neighbours:
    """Of each example, its k nearest references, nearest first. distances: Euclidean, (N, k). indices: (N, k)."""

    distances: Tensor
    indices: Tensor


@dataclass
class Copying:
    """share: of samples at most as far from the training set as `threshold`, the quantile of the held-out distances.
    standard_error: of the share, over samples and held-out examples, which set the threshold; None of a single one.

    heldout_share: of held-out examples at most that far, to compare with: above the quantile where distances tie.
    nearer: probability that a sample lies nearer to the training set than a held-out example does, ties counted half;
    0.5 where nothing is copied. z: of that rank test, below zero for copying; None where all distances are equal.
    """

    threshold: float
    share: float
    standard_error: float | None
    heldout_share: float
    nearer: float
    z: float | None


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|^2 of all pairs of x (N, D) and y (M, D), (N, M), by one product: of equal ones 0 but for rounding."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(squares, x, y.T, alpha=-2).clamp_min_(0)


def rows_of(n: int, pairs: int) -> int:
    """How many rows of n distances make up `pairs`."""
    return max(pairs // max(n, 1), 1)


def nearest(queries: Tensor, references: Tensor, *, k: int = 1, pairs: int = PAIRS) -> Neighbours:
    """The k nearest references (M, ...) of each query (N, ...), in pixels or features alike; M >= k.

    Searched in the precision of the queries; the distances of those found are then taken anew, and exact. pairs: how
    many distances are held at once.
    """
    queries, references = pair(queries, references, "queries", "references")
    if not 1 <= k <= len(references):
        raise UserError(f"k={k}: of {len(references)} references, k is 1 to {len(references)}")
    precision = queries.dtype if queries.is_floating_point() else torch.float32
    queries, references = queries.to(precision), references.to(precision)
    centre = references.mean(0)  # far from the origin, distances are small differences of large squares
    centred = references - centre
    distances, indices = [], []
    for rows in queries.split(min(rows_of(len(references), pairs), rows_of(k * queries.shape[1], pairs))):
        found = squared_distances(rows - centre, centred).topk(k, 1, largest=False).indices
        exactly = torch.linalg.vector_norm(exact(rows)[:, None] - exact(references[found]), dim=2)
        exactly, order = exactly.sort(dim=1, stable=True)
        distances.append(exactly)
        indices.append(found.to(order.device).gather(1, order).to(queries.device))
    return Neighbours(torch.cat(distances), torch.cat(indices))


def copying(samples: Tensor, train: Tensor, heldout: Tensor, *, quantile: float = 0.01, pairs: int = PAIRS) -> Copying:
    """Compares how far samples (N, ...) and held-out examples (M, ...) lie from the nearest of the training examples.

    quantile: of the held-out distances, below which a sample is near; M >= 1 / quantile. pairs: as `nearest` takes it.
    """
    if not 0 < quantile < 1:
        raise UserError(f"quantile={quantile}: it lies between 0 and 1")
    if len(heldout) * quantile < 1 - 1e-9:
        raise UserError(
            f"quantile={quantile}: it takes {round(1 / quantile)} held-out examples, and there are {len(heldout)}"
        )
    of_samples, of_heldout = (nearest(x, train, pairs=pairs).distances[:, 0] for x in (samples, heldout))
    threshold = _quantile(of_heldout, quantile)
    n, both = len(samples), torch.cat([of_samples, of_heldout])

    def share(rows: Rows) -> Figures:
        """Of the distances `both`."""
        mine, others = both[rows[rows < n]], both[rows[rows >= n]]
        return {"share": float((mine <= _quantile(others, quantile)).double().mean())}

    nearer, z = rank_test(of_samples, of_heldout)
    return Copying(
        threshold=float(threshold),
        share=float((of_samples <= threshold).double().mean()),
        standard_error=of_groups(share, partitions(n, len(heldout)))["share"] if len(heldout) > 1 else None,
        heldout_share=float((of_heldout <= threshold).double().mean()),
        nearer=nearer,
        z=z,
    )


def _quantile(distances: Tensor, quantile: float) -> Tensor:
    """The distance within which a share `quantile` of them lies, or one of them, where that share is of none."""
    return distances.sort().values[max(int(len(distances) * quantile + 1e-9), 1) - 1]


def rank_test(x: Tensor, y: Tensor) -> tuple[float, float | None]:
    """P(x < y) with ties counted half, and the z of the Mann-Whitney test of x (N,) against y (M,): above 0 where x is
    the larger one; None where all values are equal."""
    n, m = len(x), len(y)
    _, where, ties = torch.cat([x, y]).unique(return_inverse=True, return_counts=True)
    ties = ties.double()
    ranks = (ties.cumsum(0) - (ties - 1) / 2)[where[:n]]  # those that are equal share the mean of their ranks
    u = float(ranks.sum()) - n * (n + 1) / 2  # pairs in which x is the larger one
    total = n + m
    variance = n * m / 12 * (total + 1 - float((ties**3 - ties).sum()) / (total * (total - 1)))
    return 1 - u / (n * m), (u - n * m / 2) / variance**0.5 if len(ties) > 1 else None
