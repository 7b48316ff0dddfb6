"""A group of jobs of a sweep in this process: as one what stacks, the rest one after another."""

import contextlib
import logging
from typing import Any

from vae_runner import execute
from vae_runner.commands.sweeping.job import Job, run_here
from vae_runner.commands.sweeping.stacks import Alone, Group, Together, stacks
from vae_runner.forked import cores
from vae_runner.reporting.console import Progress, no_file, one_of_several
from vae_runner.signals import GracefulStop
from vae_runner.training.drawers import drawers
from vae_runner.training.stacked.lockstep import Lockstep
from vae_runner.training.trainer import Due, Training

log = logging.getLogger("vae_runner")

Outcome = float | BaseException | None  # what a sweeper optimises, or what broke the job


def run_group(group: Group, processes: int = 1) -> dict[int, Outcome]:
    """Trains all jobs of a group. Returns by number what each came to.

    processes: that train groups at once, with this one, and write to the same screen. Raises KeyboardInterrupt where it
    was asked to stop.
    """
    outcomes: dict[int, Outcome] = {}
    for part in stacks(group):
        if isinstance(part, Together):
            with drawers(_drawers(part, processes)):
                outcomes |= _as_one(part)
        else:
            outcomes[part.job.number] = _alone(part, beside_others=processes > 1)
    return outcomes


def _drawers(part: Together, processes: int) -> int:
    """How many processes draw: one for two runs, of the cores that the training processes leave."""
    if part.experiments[0].device.type == "cpu":
        return 0
    return max(0, min(cores() // processes - 1, len(part.jobs) // 2))


def _alone(part: Alone, beside_others: bool) -> Outcome:
    if part.why:
        log.info("job %s goes by itself: %s", part.job.number, part.why)
    name = f"job {part.job.number}: "
    with one_of_several(name) if beside_others else contextlib.nullcontext():
        try:
            return run_here(part.job, "" if beside_others else name)
        except Exception as error:
            return error


def _as_one(part: Together) -> dict[int, Outcome]:
    numbers = [job.number for job in part.jobs]

    def begun(going: list[int]) -> None:
        # of the others nothing is left to train
        if len(going) > 1:
            log.info("jobs %s are trained as one", ", ".join(str(numbers[i]) for i in going))

    with GracefulStop() as stop, no_file(), _Shown() as shown:
        trainings = [
            _named(job, job.training(experiment, contextlib.nullcontext(stop)))
            for job, experiment in zip(part.jobs, part.experiments, strict=True)
        ]
        together = Lockstep(trainings, begun, shown.step)
        together.run()
    results = dict(zip(numbers, together.results, strict=True))
    if any(isinstance(result, execute.Interrupted) for result in results.values()):
        raise KeyboardInterrupt
    return {
        number: execute.monitored(result) if isinstance(result, dict) else result for number, result in results.items()
    }


def _named(job: Job, training: Training) -> Training:
    with one_of_several(f"job {job.number}: "):
        return (yield from training)


class _Shown:
    """The progress of all, on the screen."""

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._progress: Progress | None = None

    def __enter__(self) -> "_Shown":
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()

    def step(self, due: Due) -> None:
        """due: a step that was taken."""
        if self._progress is None:
            budget = due.fitting.budget
            progress = Progress(budget.steps, due.step, steps_per_epoch=budget.steps_per_epoch)
            self._progress = self._open.enter_context(progress)
        self._progress.update(due.step + 1)
