"""How near reconstructions y are to their images x, example by example.

    MSE = mean (x - y)^2        PSNR = 10 log10(1 / MSE) dB, of values in [0, 1]
    SSIM = mean over places and channels of (2 m m' + c1) (2 cov + c2) / ((m^2 + m'^2 + c1) (v + v' + c2))

(Wang et al. 2004, equation 13). Means m, variances v and the covariance are local, under a Gaussian window of 11 pixels
with deviation 1.5 that lies wholly within the image; in images with sides below 22 the window is smaller, so compare at
one size only. c1 and c2 are those for values in [0, 1]. SSIM at several scales is an objective, `ms_ssim`.
"""

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, finite, images, same_shape
from vae_runner.objectives.ms_ssim import C1, C2, window_for

VALUES = 2**20  # of images at a time


def mse(x: Tensor, y: Tensor) -> Tensor:
    """The mean squared error over the values of each example, (N,), of x and y (N, ...), in double precision."""
    same_shape(x, y, "mse")
    x, y = (exact(finite(values, "mse")) for values in (x, y))
    return (x - y).square().flatten(1).mean(1)


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of y (N, ...) to x (N, ...) in [0, 1], in dB, (N,); infinite where y is x.

    The mean over examples is infinite with them: of a set, give the median, or the PSNR of the mean MSE.
    """
    _in_unit(x, "psnr")
    return -10 * mse(x, y).log10()


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """The structural similarity of images x in [0, 1] and y, both (N, C, H, W) of any size, (N,): 1 where y is x."""
    same_shape(x, y, "ssim")
    _in_unit(images(x, "ssim", 1), "ssim")
    finite(y, "ssim")
    rows = max(VALUES // x[0].numel(), 1)
    parts = zip(x.split(rows), y.split(rows), strict=True)
    return torch.cat([_ssim(exact(a), exact(b)) for a, b in parts])


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    line = window_for(x.shape[2:]).to(x).sum((0, 1, 2))  # the window is the product of two lines
    line = line / line.sum()  # in single precision it is off by 1e-7, which small variances do not forgive
    mx, my, xx, yy, xy = (_local(values, line) for values in (x, y, x * x, y * y, x * y))
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    structure = (2 * (xy - mx * my) + C2) / (xx - mx * mx + yy - my * my + C2)
    return (luminance * structure).mean((1, 2, 3))


def _local(values: Tensor, line: Tensor) -> Tensor:
    """The mean under the window at each place where it fits: along rows, then along columns, weighed by `line`."""
    for dim in (2, 3):
        places = values.shape[dim] - len(line) + 1
        values = sum(weight * values.narrow(dim, i, places) for i, weight in enumerate(line.tolist()))
    return values


def _in_unit(x: Tensor, what: str) -> None:
    low, high = (float(extreme) for extreme in finite(x, what).aminmax()) if x.numel() else (0.0, 0.0)
    if low < 0 or high > 1:
        raise UserError(f"{what}: the images must lie in [0, 1], and reach from {low:.4g} to {high:.4g}")
