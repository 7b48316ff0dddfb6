"""A hole: a rectangle of an image, with its proportions, or a stretch of a sequence or vector (Pathak et al. 2016)."""

import torch
from torch import Tensor

from vae_runner import noise
from vae_runner.corruptions.corruption import Corruption
from vae_runner.data.space import Batch


class MaskBlock(Corruption):
    """level: the share of the image's area, or of the sequence's length, that is hidden, to the nearest pixel or step.

    Every position inside the image, or inside the sequence's own length, is equally likely.
    """

    def corrupt(self, batch: Batch) -> Tensor:
        x, places = batch.x, self.places(batch.x)
        share = self.levels(x).flatten() ** (1 / len(places))
        hidden = torch.ones((len(x), *[1] * len(places)), dtype=torch.bool, device=x.device)
        for axis, extent in enumerate(places):
            size = torch.full_like(share, extent)
            if batch.mask is not None and self.space.ragged:
                size = batch.mask.flatten(1).sum(1).to(share.dtype)
            length = (share * size).round()
            start = (noise.uniform_like(share) * (size - length + 1)).floor()
            place = torch.arange(extent, device=x.device)
            inside = (place >= start[:, None]) & (place < (start + length)[:, None])
            hidden = hidden & inside.view(len(x), *[extent if i == axis else 1 for i in range(len(places))])
        return self.hide(x, hidden)
