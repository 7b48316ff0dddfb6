"""What the encoder sees instead of an example x, which stays the target: q(z|x~), log p(x|z).

Denoising autoencoders (Vincent et al. 2010); the denoising criterion for VAEs (Im et al. 2017).
"""

from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from vae_runner import noise
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError
from vae_runner.settings import Range

Share = Annotated[float, Range(0, 1)]
UNKNOWN = 1  # the token that stands for what is not known; 0 pads


class Corruption:
    """Replaces `batch.input`. The noise is of the global random state, drawn afresh for each batch.

    level: one number, or the two ends of a range that each example draws its own level from.
    """

    # whether the stored examples may hold NaN
    missing_values: ClassVar[bool] = False

    def __init__(self, space: Space, *, level: Share | tuple[Share, Share] = 0.25) -> None:
        self.space = space
        low, high = level if isinstance(level, list | tuple) else (level, level)
        if low > high:
            raise UserError(f"corruption.level=[{low},{high}]: the lower end comes first; type [{high},{low}]")
        self.low, self.high = float(low), float(high)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with another `input`; what the mask leaves out, such as padding, is not touched."""
        corrupted = self.corrupt(batch)
        if batch.mask is not None:
            corrupted = torch.where(batch.mask > 0, corrupted, batch.x)
        return replace(batch, input=corrupted)

    def corrupt(self, batch: Batch) -> Tensor:
        """The examples of a batch, corrupted, (N, *shape)."""
        raise NotImplementedError

    def levels(self, x: Tensor) -> Tensor:
        """A level for each of the examples x, (N, 1, ..., 1)."""
        shape = (len(x), *[1] * (x.dim() - 1))
        if self.low == self.high:
            return torch.full(shape, self.low, device=x.device)
        return self.low + (self.high - self.low) * noise.uniform(shape, device=x.device)

    def places(self, x: Tensor) -> tuple[int, ...]:
        """What is hidden or shown as one: the pixels of an image, the steps of a sequence, the values of a vector."""
        return x.shape[2:] if self.space.image else x.shape[1:2]

    def hide(self, x: Tensor, hidden: Tensor) -> Tensor:
        """x (N, *shape) with the places where `hidden` (N, *places) is true set to 0, or to the unknown token."""
        if self.space.image:
            hidden = hidden.unsqueeze(1)
        elif x.dim() > hidden.dim():
            hidden = hidden.unsqueeze(-1)
        return torch.where(hidden, UNKNOWN if self.space.support == "categorical" else 0, x)

    def refuse_text(self, option: str) -> None:
        """Raises UserError where the data is text, of which there are no shades."""
        if self.space.support == "categorical":
            raise UserError(f"corruption={option}: changes numbers, and this data is text: type corruption=mask_random")
