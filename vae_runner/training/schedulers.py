"""The learning rate over time. Lengths are in epochs; the rate is set at every step, and is a pure function of it.

Each factory is handed an optimizer, the steps of an epoch and of the run, and gives one of torch's schedulers, stepped
after every optimizer step; `Plateau` alone is told the monitored figure after each validation.
"""

import math
from typing import Annotated, Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from vae_runner.settings import Range

Epochs = Annotated[float, Range(0)]
Factor = Annotated[float, Range(0, 1, open_low=True)]


class Scheduler:
    """A schedule that is a function of the epoch alone."""

    def factor(self, epoch: float, epochs: float) -> float:
        """What the learning rate is multiplied by at that (fractional) epoch of a run of `epochs`."""
        raise NotImplementedError

    def __call__(self, optimizer: Optimizer, steps_per_epoch: int, total_steps: int) -> Any:
        def factor(step: int) -> float:
            return self.factor(step / steps_per_epoch, total_steps / steps_per_epoch)

        return LambdaLR(optimizer, factor)


class Cosine(Scheduler):
    """Linear warm-up, then half a cosine down to `final` at the end of the run (Loshchilov & Hutter 2017)."""

    def __init__(self, *, warmup: Epochs = 0.0, final: Annotated[float, Range(0, 1)] = 0.0):
        self.warmup, self.final = warmup, final

    def factor(self, epoch: float, epochs: float) -> float:
        if epoch < self.warmup:
            return max(epoch / self.warmup, 1e-3)  # a first step of rate zero would be a step wasted
        share = min(1.0, (epoch - self.warmup) / max(epochs - self.warmup, 1e-9))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * share)) / 2


class Step(Scheduler):
    """Multiplied by `gamma` every `every` epochs."""

    def __init__(self, *, every: Annotated[float, Range(0, open_low=True)] = 10.0, gamma: Factor = 0.5):
        self.every, self.gamma = every, gamma

    def factor(self, epoch: float, epochs: float) -> float:
        return self.gamma ** math.floor(epoch / self.every + 1e-9)


class Exponential(Scheduler):
    """Multiplied by `gamma` over every epoch, a little at each step."""

    def __init__(self, *, gamma: Factor = 0.95):
        self.gamma = gamma

    def factor(self, epoch: float, epochs: float) -> float:
        return self.gamma**epoch


class Plateau:
    """Multiplied by `gamma` when the monitored figure has not improved for `patience` validations."""

    def __init__(
        self,
        *,
        gamma: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.5,
        patience: Annotated[int, Range(0)] = 3,
        threshold: Annotated[float, Range(0)] = 1e-4,
        minimum: Annotated[float, Range(0)] = 0.0,
    ):
        self.settings = {"factor": gamma, "patience": patience, "threshold": threshold, "min_lr": minimum}

    def __call__(self, optimizer: Optimizer, steps_per_epoch: int, total_steps: int) -> ReduceLROnPlateau:
        return ReduceLROnPlateau(optimizer, mode="min", **self.settings)  # type: ignore[arg-type]
