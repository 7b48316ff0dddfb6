"""Pictures made from pictures (N, C, H, W), to be conditions: each tells something of x and leaves out the rest."""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


def gray(x: Tensor) -> Tensor:
    """The luminance (N, 1, H, W)."""
    if x.shape[1] == 1:
        return x
    red, green, blue = (weight * channel for weight, channel in zip(LUMINANCE, x.unbind(1), strict=True))
    return (red + green + blue).unsqueeze(1)


def edges(x: Tensor) -> Tensor:
    """The length of the luminance's gradient by Sobel's operator (N, 1, H, W), at most 1 for values in [0, 1]."""
    padded = F.pad(gray(x), (1, 1, 1, 1), mode="replicate")
    across = padded[..., 2:] - padded[..., :-2]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    horizontal = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    vertical = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return (horizontal.square() + vertical.square()).sqrt() / (4 * 2**0.5)


def low_resolution(x: Tensor, factor: int) -> Tensor:
    """Means over squares of `factor` by `factor` pixels."""
    return F.avg_pool2d(x, factor)


def visible_quadrants(x: Tensor, visible: int) -> Tensor:
    """1 in the first `visible` of bottom left, top left, top right, 0 elsewhere, (N, 1, H, W).

    With two it is the left half; the three are all but the bottom right.
    """
    height, width = x.shape[2:]
    top = torch.arange(height, device=x.device)[:, None] < height // 2
    left = torch.arange(width, device=x.device) < width // 2
    seen = (left & ~top, left.expand(height, -1), left | top)[visible - 1]
    return seen.to(x.dtype).expand(len(x), 1, -1, -1)
