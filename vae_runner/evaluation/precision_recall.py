"""Fidelity and diversity of samples apart, from balls around the examples of two sets of features.

The ball of an example reaches to the k-th nearest other example of its own set:

    precision: share of samples that lie in the ball of some data example             (Kynkaanniemi et al. 2019)
    recall:    share of data examples that lie in the ball of some sample
    density:   mean over samples of the data's balls that hold it, over k             (Naeem et al. 2020)
    coverage:  share of data examples whose ball holds some sample

Density may exceed 1; one outlier of the data makes precision large, but not density, and one of the samples makes
recall large, but not coverage. Of equal distributions density is 1 and coverage 1 - 2^-k on average, for sets of equal
size. The papers have k = 3 and k = 5; here one k serves all four, 5 by default, at which the best coverage is 0.97 and
not 0.88. All four fall as dimensions and rise as examples grow: compare at equal numbers and equal features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, pair
from vae_runner.evaluation.nearest import PAIRS, rows_of, squared_distances

ROUNDING = 1e-12  # of the largest square: a point on the edge of a ball lies in it


@dataclass
class PrecisionRecall:
    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(data: Tensor, samples: Tensor, *, k: int = 5, pairs: int = PAIRS) -> PrecisionRecall:
    """All four of features of the data (N, D) and of samples (M, D), N and M > k.

    pairs: how many distances are held at once.
    """
    data, samples = (exact(x) for x in pair(data, samples, "features of the data", "features of the samples"))
    fewest = min(len(data), len(samples))
    if not 1 <= k < fewest:
        raise UserError(f"k={k}: with {fewest} examples, k is 1 to {fewest - 1}")
    centre = data.mean(0)  # far from the origin, distances are small differences of large squares
    data, samples = data - centre, samples - centre
    slack = ROUNDING * max(float(x.square().sum(1).max()) for x in (data, samples))
    of_data, of_samples = (squared_radii(x, k, pairs) + slack for x in (data, samples))
    held = samples.new_zeros(len(samples))  # by how many balls of the data
    reached, covered = [], []
    rows = rows_of(len(samples), pairs)
    for part, radii in zip(data.split(rows), of_data.split(rows), strict=True):
        distances = squared_distances(part, samples)
        inside = distances <= radii[:, None]
        held += inside.sum(0)
        covered.append(inside.any(1))
        reached.append((distances <= of_samples).any(1))
    return PrecisionRecall(
        precision=float((held > 0).double().mean()),
        recall=float(torch.cat(reached).double().mean()),
        density=float(held.mean()) / k,
        coverage=float(torch.cat(covered).double().mean()),
    )


def squared_radii(x: Tensor, k: int, pairs: int = PAIRS) -> Tensor:
    """The squared distance of each of x (N, D) to the k-th nearest of the others, (N,)."""
    # each is its own nearest, at 0
    return torch.cat(
        [
            squared_distances(rows, x).topk(k + 1, 1, largest=False).values[:, k]
            for rows in x.split(rows_of(len(x), pairs))
        ]
    )
