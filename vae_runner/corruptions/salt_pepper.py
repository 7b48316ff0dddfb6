"""Salt and pepper: a share of the values becomes 0 or 1, at random (Vincent et al. 2010, section 3.3)."""

import torch
from torch import Tensor

from vae_runner import noise
from vae_runner.corruptions.corruption import Corruption, Share
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError


class SaltPepper(Corruption):
    """level: the share of the values that are set, half of them to 0 and half to 1."""

    def __init__(self, space: Space, *, level: Share | tuple[Share, Share] = 0.25) -> None:
        super().__init__(space, level=level)
        self.refuse_text("salt_pepper")
        if space.support == "real":
            raise UserError(
                "corruption=salt_pepper: sets values to 0 or 1, and those of this data have no such bounds: "
                "type corruption=gaussian, or for your own arrays data.scale=unit"
            )

    def corrupt(self, batch: Batch) -> Tensor:
        chance = noise.uniform_like(batch.x)
        levels = self.levels(batch.x)
        return torch.where(chance < levels, (chance < levels / 2).to(batch.x.dtype), batch.x)
