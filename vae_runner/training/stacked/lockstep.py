"""Several trainings that go on together: those that stand at the same step take it as one."""

import contextvars
from collections.abc import Callable, Sequence
from typing import Any, cast

from vae_runner.training.budget import Block
from vae_runner.training.fitting import Fitting
from vae_runner.training.stacked.steps import StackedSteps, release
from vae_runner.training.trainer import Due, Training

Result = dict[str, Any] | BaseException


class Lockstep:
    """Trainings of experiments that stack. Each runs in a context of its own, and what breaks one ends that one only.

    begun: is told once which of them have a step to take, by number. taken: is told of one of the steps, each time.
    results: what each came to, its final figures or what broke it, in the order of the trainings.
    """

    def __init__(self, trainings: Sequence[Training], begun: Callable[[list[int]], None], taken: Callable[[Due], None]):
        self.trainings, self.begun, self.taken = list(trainings), begun, taken
        self.contexts = [contextvars.copy_context() for _ in trainings]
        self.results: list[Result | None] = [None] * len(self.trainings)
        self.due: dict[int, Due] = {}  # what the trainings that go on wait for
        self.steps: StackedSteps | None = None
        self.alone: Fitting | None = None  # the one that the last step was of, where it was of one

    def run(self) -> None:
        """Raises what broke a step of all, such as KeyboardInterrupt, after every training heard of it."""
        try:
            for number in range(len(self.trainings)):
                self._go_on(number)
            self.begun([*self.due])
            while self.due:
                self._step()
        except BaseException as error:
            for number in range(len(self.trainings)):
                if self.results[number] is None:
                    self._go_on(number, error)
            raise

    def _step(self) -> None:
        # those that are behind, where some go on from a checkpoint, catch up
        step = min(due.step for due in self.due.values())
        ready = {number: due for number, due in self.due.items() if due.step == step}
        if len(ready) == 1:
            ((number, due),) = ready.items()
            if due.fitting is not self.alone:  # its memory and the noise are still those of others
                release(due.fitting, step)
                self.steps, self.alone = None, due.fitting
            try:
                due.fitting.step(due.chosen, step)
            except Exception as error:
                self._go_on(number, error)
                return
        else:
            chosen = {id(due.fitting): cast(Block, due.chosen) for due in ready.values()}
            steps = self._stacked([due.fitting for due in ready.values()], step)
            steps.step([chosen[id(fitting)] for fitting in steps.fittings], step)
        self.taken(next(iter(ready.values())))
        for number in ready:
            self._go_on(number)

    def _stacked(self, fittings: list[Fitting], step: int) -> StackedSteps:
        self.alone = None
        if self.steps is None or {*map(id, self.steps.fittings)} != {*map(id, fittings)}:
            self.steps = StackedSteps(fittings)
            self.steps.seed(step)
        return self.steps

    def _go_on(self, number: int, error: BaseException | None = None) -> None:
        """Runs a training to its next step, or to its end; where there was an error it is told."""
        self.due.pop(number, None)
        training, context = self.trainings[number], self.contexts[number]
        try:
            due = context.run(training.send, None) if error is None else context.run(training.throw, error)
            self.due[number] = due
        except StopIteration as end:
            self.results[number] = end.value
        except BaseException as broken:
            self.results[number] = broken
