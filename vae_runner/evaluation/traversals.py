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
    Units of all levels come in the order of their KL, or, where there is none by unit, of the variance of their codes;
    the levels below a moved one are what the prior expects there. A unit of maps is a channel, moved as a whole.
    """
    levels = model.infer(batch)
    flat = [_by_unit(level.code) for level in levels]
    # where a class or a whole code is one unit of the KL, it does not say which of its channels matters
    has_kl = all(
        level.has_density and not level.kl_is_estimate and level.kl_units.shape[1] == code.shape[1]
        for level, code in zip(levels, flat, strict=True)
    )
    use = [
        level.kl_units.mean(0) if has_kl else code.var(0, correction=0)
        for level, code in zip(levels, flat, strict=True)
    ]
    order = torch.cat(use).argsort(descending=True)[:units].tolist()
    places = [(level, unit) for level, code in enumerate(flat) for unit in range(code.shape[1])]
    steps = torch.tensor([span * (2 * step / (values - 1) - 1) for step in range(values)])  # exactly 0 in the middle

    codes, context = [code[start : start + 1] for code in model.encode(batch)], model.context(batch)
    context = None if context is None else context[start : start + 1].expand(values, *context.shape[1:])
    decoded, names = [], []
    for level, unit in [places[i] for i in order]:
        given = [code.expand(values, *code.shape[1:]).clone() for code in codes[level:]]
        moved = flat[level][:, unit].mean() + flat[level][:, unit].std(correction=0) * steps.to(given[0])
        given[0][:, unit] = moved.view(-1, *[1] * (given[0].dim() - 2))
        # the levels below follow, as they are expected to from those above
        latents = model.sample_latents(values, context, 0.0, given=given)
        decoded.append(model.decode(latents, context, temperature=0.0).mean)
        name = f"z{unit}" if len(levels) == 1 else f"z{level + 1}.{unit}"
        names.append(f"{name}  {float(use[level][unit]):.2f}")
    return Traversal(torch.stack(decoded), steps.tolist(), names, "KL (nats)" if has_kl else "variance of the codes")


def _by_unit(code: Tensor) -> Tensor:
    return code.flatten(2).mean(2) if code.dim() > 2 else code
