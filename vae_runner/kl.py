"""The weight of the KL term over time, and its floor.

    without capacity: loss = s(t) * weight * KL          (Bowman et al. 2016; Higgins et al. 2017, where weight is beta)
    with capacity:    loss = weight * |KL - s(t) * capacity|                                   (Burgess et al. 2018)

KL is the mean over the batch of the sum over units, in nats per example. Free bits are a floor under each unit's mean:
below it a unit costs the same, used or not (Kingma et al. 2016). The schedule s in [0, 1] is a pure function of the
step, so there is no state to save.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from vae_runner import parts
from vae_runner.errors import UserError
from vae_runner.settings import Range

NotNegative = Annotated[float, Range(0, 1_000_000)]


class KL(nn.Module):
    """Turns the KL of every level into the term that is minimised; subclasses say `schedule`.

    weight: of the whole KL, or a list, one per level. free_bits: nats per unit, or a list, one per level.
    capacity: nats per example, for the sum of all levels. steps_per_epoch, steps: of an epoch and of the run.
    """

    varies: ClassVar[bool] = True
    full_weight: Tensor
    weight: Tensor
    capacity: Tensor
    floor: Tensor

    def __init__(
        self,
        steps_per_epoch: int,
        steps: int,
        *,
        weight: NotNegative | list[NotNegative] = 1.0,
        free_bits: NotNegative | list[NotNegative] = 0.0,
        capacity: NotNegative | None = None,
    ) -> None:
        super().__init__()
        if capacity is not None and isinstance(weight, Sequence):
            raise UserError(f"kl.weight={weight}: with kl.capacity, which is for the sum of levels, give one number")
        self.has_floor = any(floor > 0 for floor in (free_bits if isinstance(free_bits, Sequence) else [free_bits]))
        self.full_capacity = capacity
        self._written: float | None = None  # the share that the buffers hold
        # not persistent: they follow from the config and the step
        self.register_buffer("full_weight", torch.tensor(weight, dtype=torch.float32), persistent=False)
        self.register_buffer("weight", self.full_weight.clone(), persistent=False)
        self.register_buffer("capacity", torch.zeros(()), persistent=False)
        floor = torch.tensor(free_bits, dtype=torch.float32)
        # no floor is far below zero: a Monte Carlo estimate may be negative
        self.register_buffer("floor", torch.where(floor > 0, floor, -math.inf), persistent=False)
        self.advance(0)

    @classmethod
    def changed(cls, settings: dict) -> list[str]:
        """The settings by which the KL term is not just the KL."""
        changed = [key for key, neutral in [("weight", 1), ("free_bits", 0)] if settings.get(key, neutral) != neutral]
        return changed + (["capacity"] if settings.get("capacity") is not None else [])

    @classmethod
    def gives(cls, settings: dict) -> set[str]:
        """`plain`: at most a weight, so that it can act inside a bound of several draws. `unused`: not even that."""
        changed = cls.changed(settings)
        plain = {"plain"} if set(changed) <= {"weight"} else set()
        return plain | ({"unused"} if not changed and not cls.varies else set())

    @classmethod
    def needs(cls, settings: dict) -> dict[str, str]:
        """A KL that is weighed, floored or scheduled must exist; at weight 1 throughout, nothing is asked."""
        changed = cls.changed(settings)
        if not changed and not cls.varies:
            return {}
        what = " and ".join(f"kl.{key}={settings[key]}" for key in changed) or f"kl={cls.__name__.lower()}"
        why = f"{what} acts on the KL term, and a deterministic code has none: leave it out, or type posterior=gaussian"
        return {"posterior.density": why}

    def schedule(self, step: int) -> float:
        """s in [0, 1] for the step about to be taken, the first being 0."""
        raise NotImplementedError

    def advance(self, step: int) -> None:
        """Writes the weight and the capacity for `step` where they are, on the device, without waiting for it."""
        self._write(self.schedule(step))

    def _write(self, share: float) -> None:
        if share == self._written:
            return
        self._written = share
        if self.full_capacity is None:
            torch.mul(self.full_weight, share, out=self.weight)
        else:
            self.capacity.fill_(share * self.full_capacity)

    def finish(self) -> None:
        """Writes the weight and the capacity that the schedule leads to: at s = 1."""
        self._write(1.0)

    def figures(self) -> dict[str, float]:
        """The weight (the mean over levels) and, where there is one, the capacity in force, for the log."""
        if self.full_capacity is None:
            return {"kl_weight": float(self.weight.mean())}
        return {"kl_weight": float(self.weight.mean()), "kl_capacity": float(self.capacity)}

    def forward(self, kl_units: Sequence[Tensor]) -> Tensor:
        """The term to minimise, a scalar in nats per example, from the KL of every level: (N, units) each."""
        means = [units.mean(0) for units in kl_units]
        if self.has_floor:
            floors = self.floor.expand(len(means))
            means = [parts.average(mean).clamp_min(floor) for mean, floor in zip(means, floors, strict=True)]
        levels = [mean.sum() for mean in means]
        if self.weight.ndim:
            return (self.weight * torch.stack(levels)).sum()
        kl = sum(levels[1:], levels[0])
        return self.weight * (kl if self.full_capacity is None else (parts.average(kl) - self.capacity).abs())

    def require_levels(self, levels: int) -> None:
        """Raises UserError where a list of weights or free bits is not one number per level."""
        for key, given in (("weight", self.full_weight), ("free_bits", self.floor)):
            if given.ndim and len(given) != levels:
                raise UserError(
                    f"kl.{key}: {len(given)} numbers for {levels} level{'s' * (levels > 1)} of latents: "
                    "give one number, or one per level"
                )


class Constant(KL):
    """s = 1."""

    varies: ClassVar[bool] = False

    def schedule(self, step: int) -> float:
        return 1.0


class Ramp(KL):
    """From 0 at the first step to 1 after `length` epochs or steps, then 1; subclasses say how it rises.

    Without a length the rise takes `share` of the run, so that it is long enough for small data and large.
    """

    share = 0.25

    def __init__(
        self,
        steps_per_epoch: int,
        steps: int,
        *,
        length: Annotated[float, Range(0, open_low=True)] | None = None,
        unit: Literal["epochs", "steps"] = "epochs",
        **common,
    ) -> None:
        # before the base class, which asks for the schedule at step 0
        self.length = self.share * steps if length is None else length * (steps_per_epoch if unit == "epochs" else 1)
        super().__init__(steps_per_epoch, steps, **common)

    def schedule(self, step: int) -> float:
        return self.rise(min(step / self.length, 1.0))

    def rise(self, t: float) -> float:
        """s for t in [0, 1], the part of the length that has passed."""
        raise NotImplementedError


class Linear(Ramp):
    """s = t."""

    def rise(self, t: float) -> float:
        return t


class Cosine(Ramp):
    """s = (1 - cos(pi t)) / 2: slow at both ends."""

    def rise(self, t: float) -> float:
        return (1 - math.cos(math.pi * t)) / 2


class Sigmoid(Ramp):
    """s = sigmoid(steepness (t - 1/2)), stretched so that it starts at 0 and ends at 1 exactly (Bowman et al. 2016)."""

    def __init__(
        self,
        steps_per_epoch: int,
        steps: int,
        *,
        steepness: Annotated[float, Range(0, 100, open_low=True)] = 10.0,
        **common,
    ) -> None:
        self.steepness = steepness
        super().__init__(steps_per_epoch, steps, **common)

    def rise(self, t: float) -> float:
        # tanh is the sigmoid stretched to [-1, 1]
        return (1 + math.tanh(self.steepness * (t - 0.5) / 2) / math.tanh(self.steepness / 4)) / 2


class Cyclical(Ramp):
    """`cycles` times `length`: in each a linear rise over its part `ramp`, then 1; afterwards 1 (Fu et al. 2019).

    Without a length the cycles fill the run.
    """

    def __init__(
        self,
        steps_per_epoch: int,
        steps: int,
        *,
        cycles: Annotated[int, Range(1, 10_000)] = 4,
        ramp: Annotated[float, Range(0, 1, open_low=True)] = 0.5,
        **common,
    ) -> None:
        self.cycles, self.ramp, self.share = cycles, ramp, 1 / cycles
        super().__init__(steps_per_epoch, steps, **common)

    def schedule(self, step: int) -> float:
        return 1.0 if step >= self.cycles * self.length else self.rise(step % self.length / self.length)

    def rise(self, t: float) -> float:
        return min(t / self.ramp, 1.0)
