"""The learning rate over time. Lengths are in epochs; the rate is set before every step.

Each class is a factory that is handed the steps of an epoch and of the run, and gives the schedule of one optimizer.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

from vae_runner.settings import Range

Epochs = Annotated[float, Range(0)]
Factor = Annotated[float, Range(0, 1, open_low=True)]


class Schedule:
    """What a learning rate is multiplied by at each step: here by one."""

    def factor(self, step: int) -> float:
        """For the step about to be taken, the first being 0."""
        return 1.0

    def validated(self, figure: float) -> None:
        """Hears of the monitored figure after each validation, the lower the better."""

    @property
    def of_time(self) -> bool:
        """Whether it is a function of the step alone."""
        return type(self).validated is Schedule.validated

    def state_dict(self) -> dict[str, Any]:
        """What does not follow from the step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class OfTime(Schedule):
    """A function of the step alone."""

    def __init__(self, factor: Callable[[int], float]):
        self._factor = factor

    def factor(self, step: int) -> float:
        return self._factor(step)


class Scheduler:
    """Gives schedules that are functions of the epoch alone."""

    def factor(self, epoch: float, epochs: float) -> float:
        """What the learning rate is multiplied by at that (fractional) epoch of a run of `epochs`."""
        raise NotImplementedError

    def __call__(self, steps_per_epoch: int, total_steps: int) -> Schedule:
        return OfTime(lambda step: self.factor(step / steps_per_epoch, total_steps / steps_per_epoch))


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


class Milestones(Scheduler):
    """Multiplied by `gamma` at each of the epochs `at`."""

    def __init__(self, *, at: list[float], gamma: Factor = 0.5):
        self.at, self.gamma = at, gamma

    def factor(self, epoch: float, epochs: float) -> float:
        return self.gamma ** sum(epoch + 1e-9 >= start for start in self.at)


class Exponential(Scheduler):
    """Multiplied by `gamma` over every epoch, a little at each step."""

    def __init__(self, *, gamma: Factor = 0.95):
        self.gamma = gamma

    def factor(self, epoch: float, epochs: float) -> float:
        return self.gamma**epoch


class Plateau:
    """Multiplied by `gamma` when the monitored figure has not improved for more than `patience` validations.

    threshold: the share of the best figure so far by which a better one must differ from it. minimum: of the factor.
    """

    def __init__(
        self,
        *,
        gamma: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.5,
        patience: Annotated[int, Range(0)] = 3,
        threshold: Annotated[float, Range(0)] = 1e-4,
        minimum: Annotated[float, Range(0, 1)] = 0.0,
    ):
        self.settings = {"gamma": gamma, "patience": patience, "threshold": threshold, "minimum": minimum}

    def __call__(self, steps_per_epoch: int, total_steps: int) -> Schedule:
        return OfValidations(**self.settings)


class OfValidations(Schedule):
    """The schedule of a plateau."""

    def __init__(self, *, gamma: float, patience: float, threshold: float, minimum: float):
        self.gamma, self.patience, self.threshold, self.minimum = gamma, patience, threshold, minimum
        self.now, self.best, self.since = 1.0, math.inf, 0

    def factor(self, step: int) -> float:
        return self.now

    def validated(self, figure: float) -> None:
        # the share is of the size: a loss may be below zero
        margin = self.threshold * abs(self.best) if math.isfinite(self.best) else 0.0
        if figure < self.best - margin:
            self.best, self.since = figure, 0
        else:
            self.since += 1
        if self.since > self.patience:
            self.now, self.since = max(self.now * self.gamma, self.minimum), 0

    def state_dict(self) -> dict[str, Any]:
        return {"now": self.now, "best": self.best, "since": self.since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.now, self.best, self.since = state["now"], state["best"], state["since"]
