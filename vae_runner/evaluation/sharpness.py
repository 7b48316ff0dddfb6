"""How sharp images are: the variance of their Laplacian, against the data's (Pech-Pacheco et al. 2000).

    L(i, j) = x(i-1, j) + x(i+1, j) + x(i, j-1) + x(i, j+1) - 4 x(i, j)

Blur takes away high frequencies and with them the variance; Tolstikhin et al. (2018) tell the blur of samples so. The
border is repeated outwards, so that an image's L sums to 0, its variance is the mean of its squares, and images of 3x3
have one too. Noise counts as sharp: compare the means of p(x|z), not draws, and take a ratio above 1 for a warning.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.evaluation.checks import exact, images
from vae_runner.evaluation.standard_errors import of_ratio

SMALLEST = 3  # side of an image
BLOCK = 1000  # images at a time


@dataclass(frozen=True)
class Sharpness:
    """standard_error: of the ratio, over images of both sets; as pairs where there are as many of both."""

    ratio: float
    standard_error: float | None


def laplacian_variance(x: Tensor) -> Tensor:
    """The variance of the Laplacian of images (N, C, H, W), mean over channels, (N,), in the squared unit of x.

    Sides of at least 3. In double precision.
    """
    return torch.cat(
        [_laplacian(part).square().mean((1, 2, 3)) for part in images(x, "sharpness", SMALLEST).split(BLOCK)]
    )


def sharpness_ratio(x: Tensor, data: Tensor) -> Sharpness | None:
    """The mean variance of the Laplacian of images x (N, C, H, W) over that of the data's (M, C, H, W).

    1: as sharp as the data; below: blurred; above: noisy. None where the data has no edges at all.
    """
    of_x, of_data = (laplacian_variance(part) for part in (x, data))
    if not bool(of_data.any()):
        return None
    return Sharpness(float(of_x.mean() / of_data.mean()), of_ratio(of_x, of_data))


def _laplacian(x: Tensor) -> Tensor:
    x = exact(x)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    centre_rows, centre_columns = padded[:, :, 1:-1], padded[:, :, :, 1:-1]
    return centre_rows[..., :-2] + centre_rows[..., 2:] + centre_columns[:, :, :-2] + centre_columns[:, :, 2:] - 4 * x
