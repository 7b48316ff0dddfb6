"""Reconstruction judged by structure at several scales, as eyes do, and weighed against the KL (Snell et al. 2017).

    loss = weight * pixels * (1 - MS-SSIM(x, x')) + KL(q(z|x) || p(z)),  x' the mean of p(x|z)
    MS-SSIM = l_M^w_M * prod_j cs_j^w_j,  j = 1 ... M, each scale half the one before     (Wang et al. 2003, equation 7)
    l = (2 m m' + c1) / (m^2 + m'^2 + c1),  cs = (2 cov + c2) / (v + v' + c2)

Means m, variances v and the covariance are local, under a Gaussian window. 1 - MS-SSIM has no unit, so the loss is in
nats only as far as `weight` says what a pixel's structure is worth. c1 and c2 are those for values in [0, 1].
"""

import functools
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence
from vae_runner.objectives.decoder import completed
from vae_runner.objectives.objective import Objective
from vae_runner.settings import Range

C1, C2 = 0.01**2, 0.03**2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al., from the largest image to the smallest
LARGEST_WINDOW = 11
SMALLEST = 1e-6  # of a factor, which noise makes negative: no root is taken of it


def window_for(size: tuple[int, ...]) -> Tensor:
    """The window (1, 1, k, k): 11 pixels with deviation 1.5, less in proportion in images with sides below 22."""
    side = min(size)
    half = side // 2
    length = max(min(half - 1 + half % 2, LARGEST_WINDOW), min(side, 3))
    offsets = torch.arange(length) - (length - 1) / 2
    line = (-0.5 * (offsets / (1.5 * length / LARGEST_WINDOW)).square()).softmax(0)
    return (line[:, None] * line)[None, None]


def ms_ssim(x: Tensor, y: Tensor, window: Tensor) -> Tensor:
    """The similarity (N,), at most 1, of images x and y (N, C, H, W): at five scales, or as many as hold the window."""
    factors: list[Tensor] = []
    last = False
    while not last:
        moments = torch.stack([x, y, x * x, y * y, x * y]).flatten(0, 2)[:, None]
        mx, my, xx, yy, xy = F.conv2d(moments, window).flatten(1).unflatten(0, (5, *x.shape[:2]))
        similarity = (2 * (xy - mx * my) + C2) / (xx - mx * mx + yy - my * my + C2)
        last = len(factors) + 1 == len(WEIGHTS) or min(x.shape[2:]) // 2 < len(window[0, 0])
        if last:
            similarity = similarity * (2 * mx * my + C1) / (mx * mx + my * my + C1)
        else:
            x, y = F.avg_pool2d(x, 2, ceil_mode=True), F.avg_pool2d(y, 2, ceil_mode=True)
        factors.append(similarity.mean(2).clamp_min(SMALLEST))
    total = sum(WEIGHTS[: len(factors)])
    powers = [factor ** (weight / total) for factor, weight in zip(factors, WEIGHTS, strict=False)]
    return functools.reduce(torch.mul, powers).mean(1)  # torch's prod waits for the device in its backward pass


class MSSSIM(Objective):
    """weight: of 1 - MS-SSIM, for each pixel."""

    window: Tensor

    def __init__(self, model: Any, examples: int, *, weight: Annotated[float, Range(0, 1e9)] = 1.0) -> None:
        super().__init__(model, examples)
        space = model.space
        if not space.image or space.support == "real":
            raise UserError("objective=ms_ssim compares images with values in [0, 1]: type objective=elbo")
        self.register_buffer("window", window_for(space.shape[1:]), persistent=False)
        self.weight = weight * space.size

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        # the variances are small differences of large numbers
        with torch.autocast(evidence.x.device.type, enabled=False):
            similarity = ms_ssim(evidence.x, completed(evidence.px.mean.float(), evidence), self.window)
        terms = {"reconstruction": self.weight * (1 - similarity.mean())}
        if evidence.has_density:
            terms["kl"] = kl([level.kl_units for level in evidence.levels])
        return terms
