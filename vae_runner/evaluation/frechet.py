"""The Frechet distance of two sets of features, each taken for a Gaussian's draws (Heusel et al. 2017).

    d^2 = |m_x - m_y|^2 + tr C_x + tr C_y - 2 tr (C_x C_y)^(1/2)

Known as FID where the features are those of an Inception network; the figure is the square, as is customary. With
C = F'F the eigenvalues of C_x C_y are those of the symmetric product F_x C_y F_x' = (F_x F_y') (F_x F_y')', so that the
last trace is the sum of the singular values of F_x F_y'. No matrix root is taken, and the covariances, whose small
eigenvalues are lost in rounding, are not even formed: any rank will do.

The estimate is biased upwards, the more so the fewer the examples. For N examples each of one Gaussian it is not 0 but,
where N is much larger than D and the covariance a multiple c of the identity, about

    c (2 D + D (D + 1) / 2) / N

So figures compare only at equal N and equal features, and mean little where N is not well above D.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, pair, vectors


@dataclass
class Gaussian:
    """mean (D,), factor F (R, D) with the covariance F'F; in double precision."""

    mean: Tensor
    factor: Tensor


def gaussian_of(features: Tensor) -> Gaussian:
    """The Gaussian with the mean and the unbiased covariance of features (N, D), N >= 2."""
    features = exact(vectors(features, "features", least=2))
    mean = features.mean(0)
    factor = (features - mean) / (len(features) - 1) ** 0.5
    if len(factor) > factor.shape[1]:
        factor = torch.linalg.qr(factor, mode="r").R
    return Gaussian(mean, factor)


def squared_distance(x: Gaussian, y: Gaussian) -> float:
    """The squared Frechet (2-Wasserstein) distance of two Gaussians, in the squared unit of the features."""
    if x.mean.shape != y.mean.shape:
        raise UserError(f"features of {len(x.mean)} and of {len(y.mean)} dimensions cannot be compared")
    between = torch.linalg.svdvals(x.factor @ y.factor.T).sum()
    traces = x.factor.square().sum() + y.factor.square().sum()
    return max(float((x.mean - y.mean).square().sum() + traces - 2 * between), 0.0)  # rounding alone is below zero


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """The squared Frechet distance of features x (N, D) and y (M, D), N and M >= 2.

    To compare many sets with one, keep its `gaussian_of` and call `squared_distance`.
    """
    x, y = pair(x, y, "features", "features of the data", least=2)
    return squared_distance(gaussian_of(x), gaussian_of(y))
