"""Values that are missing from the data, NaN there: the likelihood of those that are known alone is maximised.

log p(x_known | z), the encoder seeing 0 where a value is missing (Nazabal et al. 2020; Mattei & Frellsen 2019).
"""

from dataclasses import replace
from typing import ClassVar

import torch

from vae_runner.corruptions.corruption import Share
from vae_runner.corruptions.mask_random import MaskRandom
from vae_runner.data.space import Batch, Space


class Missing(MaskRandom):
    """level: the chance of a place to be hidden from the encoder besides, which makes it learn to fill in."""

    missing_values: ClassVar[bool] = True

    def __init__(self, space: Space, *, level: Share | tuple[Share, Share] = 0.0) -> None:
        super().__init__(space, level=level)

    def __call__(self, batch: Batch) -> Batch:
        known = ~batch.x.isnan()
        mask = known.to(torch.float32) if batch.mask is None else batch.mask * known
        return super().__call__(replace(batch, x=torch.where(known, batch.x, 0), mask=mask, missing=~known))
