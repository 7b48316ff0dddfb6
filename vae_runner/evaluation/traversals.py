"""What one latent unit does to an example while the others are held fixed."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch


@dataclass
class Traversal:
    """x (units, values, *shape): decoded means. values: in standard deviations of the codes. names: of the units.

    use: what the number in a name is, by which the units are ordered.
    """

    x: Tensor
    values: list[float]
    names: list[str]
    use: str


@torch.no_grad()
def traverse(
    model: Any, batch: Batch, *, units: int = 10, values: int = 11, span: float = 3.0, start: int = 0
) -> Traversal:
    """Moves each of the most used `units` of the batch's example number `start` across the codes of the whole batch.

    A unit goes from `-span` to `span` standard deviations of the batch's codes around their mean, in `values` steps.
    Units come in the order of their KL, or, where there is none by unit, of the variance of their codes. A unit of
    spatial latents is a channel, moved as a whole.
    """
    level = model.infer(batch)[0]
    code = level.code
    flat = code.flatten(2).mean(2) if code.dim() > 2 else code
    mean, deviation = flat.mean(0), flat.std(0, correction=0)
    has_kl = level.has_density and not level.kl_is_estimate
    use = level.kl_units.mean(0) if has_kl else deviation.square()
    chosen = use.argsort(descending=True)[:units]
    places = [span * (2 * step / (values - 1) - 1) for step in range(values)]  # exactly 0 in the middle

    z = code[start].expand(len(chosen), values, *code.shape[1:]).clone()
    for row, unit in zip(z, chosen.tolist(), strict=True):
        targets = mean[unit] + deviation[unit] * torch.tensor(places, dtype=code.dtype, device=code.device)
        row[:, unit] = targets.view(-1, *[1] * (row.dim() - 2))
    context = model.context(batch)
    if context is not None:
        context = context[start].expand(len(chosen) * values, -1)
    x = model.decode(z.flatten(0, 1), context).mean.unflatten(0, (len(chosen), values))
    names = [f"z{unit}  {float(use[unit]):.2f}" for unit in chosen.tolist()]
    return Traversal(x, places, names, "KL (nats)" if has_kl else "variance of the codes")
