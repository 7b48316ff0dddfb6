"""Additive noise: x~ = x + level * e, e ~ N(0, 1). It is not clipped, so half of it is not lost on black and white."""

from typing import Annotated

from torch import Tensor

from vae_runner import noise
from vae_runner.corruptions.corruption import Corruption
from vae_runner.data.space import Batch, Space
from vae_runner.settings import Range

Deviation = Annotated[float, Range(0)]


class Gaussian(Corruption):
    """level: the standard deviation, in the units of the data."""

    def __init__(self, space: Space, *, level: Deviation | tuple[Deviation, Deviation] = 0.25) -> None:
        super().__init__(space, level=level)
        self.refuse_text("gaussian")

    def corrupt(self, batch: Batch) -> Tensor:
        return batch.x + self.levels(batch.x) * noise.normal_like(batch.x)
