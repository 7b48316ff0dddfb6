"""What one latent unit does to an example while the others are held fixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.models.evidence import Level
from vae_runner.reporting.formats import number

AT_ONCE = 128  # codes that are decoded, as many as a batch of training often has


@dataclass
class Traversal:
    """Units that are moved alike: x (units, values, *shape), decoded means.

    values: in standard deviations of the codes, or which of the choices. names: of the units. use: what the number in a
    name is, by which the units are ordered. moved: how they are, in words, and scale: what `values` are.
    """

    x: Tensor
    values: list[float]
    names: list[str]
    use: str
    moved: str
    scale: str


@dataclass
class _Unit:
    """Some channels of a level. vectors: the choices (K, channels) that there are for them, or None: a free number."""

    level: int
    channels: slice
    vectors: Tensor | None
    name: str
    use: float


@torch.no_grad()
def traverse(
    model: Any, batch: Batch, *, units: int = 10, values: int = 11, span: float = 3.0, least: float = 0.0
) -> list[Traversal]:
    """Moves each of the most used `units` of the batch's first example across the codes of the whole batch.

    Units whose use is below `least` are left out, but for the most used one.

    A free number goes from `-span` to `span` standard deviations of the batch's codes around their mean, in `values`
    steps; on a sphere all others shrink or grow with it, so that the code stays there, and it stops at the poles. A
    unit that is one of a few choices, a class or a vector of a codebook, goes through them, or through the `values`
    that the batch uses most. Free numbers come first, choices in a traversal of their own.

    Units of all levels come in the order of their KL, or, where there is none by unit, of the variance of their codes;
    the levels below a moved one are what the prior expects there. A unit of maps is moved at all places alike.
    """
    levels = model.infer(batch)
    found, use = _units(model, levels)
    found = sorted(found, key=lambda unit: unit.use, reverse=True)[:units]
    found = [unit for unit in found if unit.use >= least] or found[:1]
    free = [unit for unit in found if unit.vectors is None]
    chosen = [unit for unit in found if unit.vectors is not None]
    context = model.context(batch)
    context = None if context is None else context[:1]
    example = _Example(model, [_as_chosen(model, code[:1]) for code in model.encode(batch)], context)
    result = [_moved(example, levels, free, use, span, values)] if free else []
    return result + ([_chosen(example, levels[0], chosen, use, values)] if chosen else [])


def _moved(
    example: "_Example", levels: list[Level], units: list[_Unit], use: str, span: float, values: int
) -> Traversal:
    """Units that are free numbers."""
    steps = [span * (2 * step / (values - 1) - 1) for step in range(values)]  # exactly 0 in the middle
    of_levels = []  # (channels, values)
    for code in (_by_unit(level.code) for level in levels):
        of_levels.append(code.mean(0)[:, None] + code.std(0, correction=0)[:, None] * code.new_tensor(steps))
    x = example.decoded(units, [of_levels[unit.level][unit.channels].T for unit in units])
    how = "along the sphere by standard deviations" if example.model.posterior.on_sphere else "by standard deviations"
    return Traversal(x, steps, _names(units), use, f"moved {how}", "standard deviations")


def _chosen(example: "_Example", level: Level, units: list[_Unit], use: str, values: int) -> Traversal:
    """Units that are one of a few choices."""
    vectors = units[0].vectors
    assert vectors is not None
    kept, kind = _most_used(level.code, units, values), "codes" if _has_codebook(example.model) else "classes"
    through = f"all {len(vectors)}" if len(kept) == len(vectors) else f"the {len(kept)} most used of {len(vectors)}"
    x = example.decoded(units, [vectors[kept]] * len(units))
    return Traversal(x, [float(i) for i in kept], _names(units), use, f"through {through} {kind}", kind)


def _units(model: Any, levels: list[Level]) -> tuple[list[_Unit], str]:
    """All units, and by what they are ordered."""
    single, units, has_kl, kl = len(levels) == 1, [], True, []
    choices = model.posterior.choices() if single else []
    letter = "k" if _has_codebook(model) else "c"
    for index, level in enumerate(levels):
        code = _by_unit(level.code)
        variance = code.var(0, correction=0).tolist()
        taken = {channel for channels, _ in choices for channel in range(channels.start, channels.stop)}
        for channel in sorted(set(range(code.shape[1])) - taken):
            name = f"z{channel}" if single else f"z{index + 1}.{channel}"
            units.append(_Unit(index, slice(channel, channel + 1), None, name, variance[channel]))
        for place, (channels, vectors) in enumerate(choices):
            units.append(_Unit(index, channels, vectors, f"{letter}{place}", sum(variance[channels])))
        # one number for a whole code does not say which of its units matters
        count = code.shape[1] - len(taken) + len(choices)
        has_kl = has_kl and level.has_density and not level.kl_is_estimate and level.kl_units.shape[1] == count
        if has_kl:
            kl += level.kl_units.mean(0).tolist()
    if not has_kl:
        return units, "variance of the codes"
    for unit, value in zip(units, kl, strict=True):
        unit.use = value
    return units, "KL (nats)"


def _has_codebook(model: Any) -> bool:
    return "indices" in model.posterior.provides


def _names(units: list[_Unit]) -> list[str]:
    return [f"{unit.name}  {number(unit.use, 3)}" for unit in units]


@dataclass
class _Example:
    """codes (1, *latent_shape) of every level, and the embedded condition (1, ...), of what is moved."""

    model: Any
    codes: list[Tensor]
    context: Tensor | None

    def decoded(self, units: Sequence[_Unit], values: Sequence[Tensor]) -> Tensor:
        """The means (units, V, *shape) where each unit takes its values (V, channels).

        The levels below are as then expected. Units of a level are decoded at once, as far as a batch goes.
        """
        means: dict[int, Tensor] = {}  # by the place of the unit
        for level in range(len(self.codes)):
            places = [place for place, unit in enumerate(units) if unit.level == level]
            if places:
                codes = torch.cat([self._moved(units[place], values[place]) for place in places])
                x = torch.cat([self._means(level, part) for part in codes.split(AT_ONCE)])
                means |= zip(places, x.chunk(len(places)), strict=True)
        return torch.stack([means[place] for place in range(len(units))])

    def _moved(self, unit: _Unit, values: Tensor) -> Tensor:
        """Its code (V, *latent_shape) where the unit takes each of the values (V, channels)."""
        code = self.codes[unit.level]
        code = code.expand(len(values), *code.shape[1:]).clone()
        code[:, unit.channels] = values.to(code).view(*values.shape, *[1] * (code.dim() - 2))
        if self.model.posterior.on_sphere:
            code = _back_to_the_sphere(code, unit.channels, len(self.model.posterior.latent_shape))
        return code

    def _means(self, level: int, codes: Tensor) -> Tensor:
        """What is decoded from codes (N, *latent_shape) of a level; those above are the example's."""
        n, model, context = len(codes), self.model, self.context
        given = [codes, *(code.expand(n, *code.shape[1:]) for code in self.codes[level + 1 :])]
        context = None if context is None else context.expand(n, *context.shape[1:])
        latents = model.sample_latents(n, context, 0.0, given=given)
        return model.decode(latents, context, temperature=0.0).mean


def _back_to_the_sphere(z: Tensor, channels: slice, dimensions: int) -> Tensor:
    """Codes of length one in which the moved channels are as they were set, unless they alone are longer."""
    axes = tuple(range(1, 1 + dimensions))
    moved = torch.zeros_like(z)
    moved[:, channels] = z[:, channels]
    others = z - moved
    moved = moved / moved.square().sum(axes, keepdim=True).sqrt().clamp_min(1)
    left = (1 - moved.square().sum(axes, keepdim=True)).clamp_min(0)
    return moved + others * (left / others.square().sum(axes, keepdim=True).clamp_min(1e-12)).sqrt()


def _as_chosen(model: Any, code: Tensor) -> Tensor:
    """A code (1, D, *rest) in which chances of classes are replaced by the likeliest class."""
    code = code.clone()
    for channels, vectors in model.posterior.choices() if model.levels == 1 else ():
        nearest = _nearest(code[:, channels], vectors)
        code[:, channels] = vectors[nearest].movedim(-1, 1).to(code)
    return code


def _nearest(part: Tensor, vectors: Tensor) -> Tensor:
    """Which of the vectors (K, C) is nearest to each place of (N, C, *rest): (N, *rest)."""
    flat = part.movedim(1, -1)
    return torch.cdist(flat.flatten(0, -2).float(), vectors.float()).argmin(-1).view(flat.shape[:-1])


def _most_used(code: Tensor, units: list[_Unit], most: int) -> Tensor:
    """The choices that the batch makes most often over all units, in the order of their numbers."""
    vectors = units[0].vectors
    assert vectors is not None
    counts = torch.zeros(len(vectors), device=code.device)
    for unit in units:
        assert unit.vectors is not None
        counts += torch.bincount(_nearest(code[:, unit.channels], unit.vectors).flatten(), minlength=len(counts))
    return counts.argsort(descending=True, stable=True)[:most].sort().values


def _by_unit(code: Tensor) -> Tensor:
    return code.flatten(2).mean(2) if code.dim() > 2 else code
