"""What lies between two examples: the codes on the way from one to the other, decoded."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.data.space import Batch


@torch.no_grad()
def interpolate(model: Any, batch: Batch, steps: int) -> Tensor | None:
    """Means of p(x|z) along the line between the codes of examples 0 and 1, 2 and 3, ...: (pairs, steps, *shape).

    The codes are means of q(z|x) at every level; those of a sphere go along it, on the great circle. Of a conditional
    model, all of a pair have the condition of its first example. None where codes are picks of a few, such as classes
    or the vectors of a codebook: what lies between two of them is none.
    """
    if model.levels == 1 and model.posterior.choices():
        return None
    context = model.context(batch)
    share = torch.linspace(0, 1, steps, device=batch.x.device)
    latents = []
    for code in model.encode(batch):
        first, last = code[0::2, None], code[1::2, None]
        way = torch.lerp(first, last, share.view(1, steps, *[1] * (code.dim() - 1))).flatten(0, 1)
        latents.append(F.normalize(way.flatten(1), dim=1).view_as(way) if model.posterior.on_sphere else way)
    context = None if context is None else context[0::2].repeat_interleave(steps, 0)
    x = model.decode(latents, context, temperature=0.0).mean
    if batch.c is not None and hasattr(model.condition, "reveal"):
        x = model.condition.reveal(x, batch.c[0::2].repeat_interleave(steps, 0))
    return x.unflatten(0, (-1, steps))
