"""Masking noise: a share of the places, each by itself, is hidden (Vincent et al. 2010, section 3.3)."""

from torch import Tensor

from vae_runner import noise
from vae_runner.corruptions.corruption import Corruption
from vae_runner.data.space import Batch


class MaskRandom(Corruption):
    """level: the chance of a pixel, of a step of a sequence or of a value of a vector to be hidden."""

    def corrupt(self, batch: Batch) -> Tensor:
        if self.high == 0:
            return batch.x
        x = batch.x
        chance = noise.uniform((len(x), *self.places(x)), device=x.device)
        return self.hide(x, chance < self.levels(chance))
