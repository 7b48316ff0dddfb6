"""The loop: one for every objective, and all of it on one screen."""

import contextlib
import os
import time
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch

from vae_runner.errors import UserError
from vae_runner.reporting.formats import counted
from vae_runner.run_directory import RunDirectory
from vae_runner.settings import Range
from vae_runner.signals import GracefulStop, Interrupted
from vae_runner.training import checkpoint
from vae_runner.training.batches import batches
from vae_runner.training.budget import Budget
from vae_runner.training.device import DEVICES
from vae_runner.training.distributed import ALONE, World
from vae_runner.training.experiment import Experiment
from vae_runner.training.fitting import Fitting
from vae_runner.training.recording.given import Given
from vae_runner.training.seeds import derived

Count = Annotated[int, Range(1, 2**40)]


@dataclass
class Due:
    """A step that a training waits for, the first being 0, on what was `chosen`: as `Fitting.step` takes it."""

    fitting: Fitting
    chosen: Given
    step: int


Training = Generator[Due, None, dict[str, Any]]


def by_itself(training: Training) -> dict[str, Any]:
    """Takes every step of a training as it comes. Returns its final figures. Raises what broke it, which it noted."""
    try:
        due = next(training)
        while True:
            try:
                due.fitting.step(due.chosen, due.step)
            except BaseException as error:
                due = training.throw(error)
            else:
                due = next(training)
    except StopIteration as end:
        return end.value


class Trainer:
    """Settings of a fit; `configs/trainer/default.yaml` says what each one means."""

    def __init__(
        self,
        *,
        epochs: Count | None = None,
        steps: Count | None = None,
        default_steps: Count = 5000,
        batch_size: Annotated[int, Range(1, 2**20)] = 128,
        device: Annotated[str, DEVICES] = "auto",
        precision: Literal["fp32", "tf32", "bf16"] = "fp32",
        gradient_clip: Annotated[float, Range(0, open_low=True)] | None = None,
        ema: Annotated[float, Range(0, 1, open_low=True, open_high=True)] | None = None,
        monitor: Literal["loss", "elbo", "log_px", "last"] | None = None,
        early_stopping: Count | None = None,
        validation_epochs: Count | None = None,
        validation_steps: Count | None = None,
        checkpoint_epochs: Count | None = None,
        checkpoint_steps: Count | None = None,
        log_steps: Count = 50,
        evaluation_examples: Annotated[int, Range(2)] | None = None,
        nonfinite: Literal["stop", "skip"] = "stop",
        deterministic: bool = False,
        record_steps: bool = True,
        compile: bool = False,
        length_buckets: Annotated[int, Range(1, 1024)] = 8,
    ):
        self.epochs, self.steps, self.default_steps, self.batch_size = epochs, steps, default_steps, batch_size
        self.device, self.precision, self.deterministic = device, precision, deterministic
        self.gradient_clip, self.ema, self.nonfinite = gradient_clip, ema, nonfinite
        self.monitor, self.early_stopping = monitor, early_stopping
        self.validation_epochs, self.validation_steps = validation_epochs, validation_steps
        self.checkpoint_epochs, self.checkpoint_steps = checkpoint_epochs, checkpoint_steps
        self.log_steps, self.evaluation_examples = log_steps, evaluation_examples
        self.record_steps, self.compile, self.length_buckets = record_steps, compile, length_buckets
        if compile and not record_steps:
            raise UserError("trainer.compile=true: what is compiled are recorded steps; type trainer.record_steps=true")

    @classmethod
    def needs(cls, settings: dict[str, Any]) -> dict[str, str]:
        if settings.get("monitor") == "elbo":
            return {"posterior.density": "trainer.monitor=elbo: a deterministic code has no ELBO; use monitor=loss"}
        return {}

    def budget(self, examples: int) -> Budget:
        return Budget.of(examples, self.batch_size, self.epochs, self.steps, self.default_steps)

    def _intervals(self, budget: Budget) -> tuple[int, int]:
        """Steps from one validation to the next, and from one checkpoint to the next."""
        validations = budget.interval(self.validation_epochs, self.validation_steps)
        if self.checkpoint_epochs or self.checkpoint_steps:
            return validations, budget.interval(self.checkpoint_epochs, self.checkpoint_steps)
        return validations, validations

    def require_resumable(self, experiment: Experiment, directory: RunDirectory, extended: bool = False) -> None:
        """Raises UserError where the last checkpoint is lost, damaged, of another network or data, or too far.

        extended: the run was complete, and is to go on.
        """
        examples = len(experiment.data.train)
        budget = self.budget(examples)
        if not directory.last.is_file():
            logged = max((line["step"] for line in directory.read_metrics()), default=0)
            if directory.best.is_file() and (logged > self._intervals(budget)[1] or directory.summary()):
                raise UserError(
                    f"{directory.path}: {directory.last.name} is not in {directory.last.parent}, and nothing "
                    f"else says where training stood; bring it back, or start a new run"
                )
            return  # ended before its first checkpoint: it begins again
        state = checkpoint.load(directory.last)
        checkpoint.restore_weights(experiment.model, state, directory.last)
        if state["examples"] != examples:
            raise UserError(
                f"{directory.path}: the data has {counted(examples, 'example')} to train on now, and the run "
                f"began with {state['examples']}; bring them back, or start a new run"
            )
        if state["step"] > budget.steps:
            raise UserError(f"{directory.path}: {state['step']} steps are done, more than the {budget.steps} asked for")
        if extended and state["step"] == budget.steps:
            limit = "steps" if self.steps == budget.steps else "epochs"
            given = getattr(self, limit)
            why = f", and trainer.{limit}={given} ends it there: type trainer.{limit}={2 * given} too" if given else ""
            raise UserError(f"{directory.path}: all {budget.steps} steps are done{why}")

    def fit(self, experiment: Experiment, directory: RunDirectory, **how: Any) -> dict[str, Any]:
        """Trains, and leaves in the directory what a run leaves. Returns the final figures, as in `summary.json`.

        Further arguments and exceptions are those of `training`.
        """
        return by_itself(self.training(experiment, directory, **how))

    def training(
        self,
        experiment: Experiment,
        directory: RunDirectory,
        resume: bool = False,
        extended: bool = False,
        stopping: AbstractContextManager[GracefulStop] | None = None,
        world: World = ALONE,
    ) -> Training:
        """The same, for a caller that takes each step it is handed before it asks for the next, or throws its error.

        extended: the run to resume was complete, and goes on beyond where it had stopped. stopping: what it asks after
        each step whether to go on, where that is not its own. world: the processes that train together; all of them
        call this, with the same arguments.

        Raises Interrupted after a signal, NonFinite where the training broke down, and LostProcess where another of the
        processes did; all leave a run that resumes.
        """
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is refused
        if self.deterministic != torch.are_deterministic_algorithms_enabled():  # which imports torch's compiler
            torch.use_deterministic_algorithms(self.deterministic)
        if experiment.device.type == "cuda":
            torch.cuda.set_device(experiment.device)  # where streams and graphs are made
            torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
            torch.backends.cudnn.allow_tf32 = self.precision == "tf32"  # torch lets convolutions have it by themselves
        fitting = Fitting(self, experiment, directory, world)
        budget = fitting.budget
        torch.manual_seed(derived(experiment.seed, "noise"))  # the weights were drawn from the seed itself
        start = fitting.restore(extended) if resume else 0
        world.take_hold(experiment.modules())
        logs, in_epoch = self.log_steps, budget.steps_per_epoch
        validations, checkpoints = self._intervals(budget)
        coming = batches(experiment, budget, start, world, self.length_buckets)
        with stopping or GracefulStop() as stop, contextlib.closing(coming), fitting.recording(start):
            started = time.perf_counter()
            for step in range(start, 0 if fitting.exhausted else budget.steps):
                if step % in_epoch == 0:
                    fitting.begin_epoch()
                yield Due(fitting, next(coming), step)
                done, last = step + 1, step + 1 == budget.steps
                if done % logs == 0 or done == 1 or last:
                    fitting.log(done)
                if done % validations == 0 or last:
                    fitting.validate(done)
                stopped = world.hear(stop.requested, done)
                if done % checkpoints == 0 or last or stopped or fitting.exhausted:
                    fitting.checkpoint(done, started)
                if fitting.exhausted:
                    break
                if stopped:
                    raise Interrupted(stopped)
            return fitting.finish(started, stop)
