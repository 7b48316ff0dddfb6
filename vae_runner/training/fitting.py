"""The state of one fit: what the loop steps, logs, validates, saves and brings back."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from vae_runner.allocator import keep_freed_memory
from vae_runner.data.space import Batch
from vae_runner.data.splits import mixed
from vae_runner.errors import UserError
from vae_runner.evaluation.evaluate import Evaluation, Preserved, evaluate
from vae_runner.run_directory import RunDirectory
from vae_runner.signals import GracefulStop
from vae_runner.training import checkpoint
from vae_runner.training.average import MovingAverage
from vae_runner.training.beside import Beside
from vae_runner.training.device import lay_out
from vae_runner.training.distributed import ALONE, World
from vae_runner.training.experiment import Experiment
from vae_runner.training.nonfinite import NonFinite, explain
from vae_runner.training.optimizers import can_be_recorded
from vae_runner.training.recorder import Recorder
from vae_runner.training.recording import steps_on
from vae_runner.training.recording.given import Given
from vae_runner.training.saved import bring_back, state_of, weights_of
from vae_runner.training.schedulers import Schedule
from vae_runner.training.step import Player, TrainingStep
from vae_runner.training.summary import evaluate_best, summary_of
from vae_runner.training.watch import Watch

log = logging.getLogger(__name__)

FITTED = 4000  # codes that the prior of a deterministic encoder is fitted to
HOPELESS = 10  # steps in a row that are not finite, from which on no more are skipped


class Fitting:
    """Owns the optimizers, the running sums, the best figure so far, and the recorder."""

    def __init__(self, trainer: Any, experiment: Experiment, directory: RunDirectory, world: World = ALONE):
        self.trainer, self.experiment, self.directory, self.world = trainer, experiment, directory, world
        self.budget = trainer.budget(len(experiment.data.train))
        lay_out(experiment.model, experiment.device, trainer.precision)
        self._keep_memory(large=True)
        self.players = [
            self._player(name, phase) for name, phase in experiment.objective.phases(experiment.model).items()
        ]
        self.average = MovingAverage(experiment.model, trainer.ema) if trainer.ema else None
        self.training_step = TrainingStep(
            experiment.model,
            experiment.objective,
            experiment.kl,
            self.players,
            experiment.device,
            precision=trainer.precision,
            gradient_clip=trainer.gradient_clip,
            average=self.average,
            skips=trainer.nonfinite == "skip",
        )
        self.take = self.own_steps()
        self.is_stacked = False  # one of several runs that train as one
        self.sums = self.training_step.sums
        self.monitor = trainer.monitor or ("last" if experiment.objective.judged else "loss")
        if self.monitor == "last":
            self._refuse_to_wait_for_improvement()
        self.watch = Watch(self.budget.steps)
        self.best: dict[str, Any] = {"value": math.inf, "step": 0, "since": 0}
        self.seconds = 0.0  # of earlier sittings
        self.finite_at = -HOPELESS  # the last line that was logged of a finite step; a first step is not skipped
        self.beside = Beside(experiment.device)
        self.saved: Future[None] | None = None  # the last of the checkpoints that were begun
        if world.leads:
            self.recorder = Recorder(experiment, directory, self.budget, self.beside)
        for module in experiment.modules():
            module.train()

    def _keep_memory(self, *, large: bool) -> None:
        if self.experiment.device.type == "cpu":
            keep_freed_memory(large=large)

    def _player(self, name: str, phase: Any) -> Player:
        optimizer = self.experiment.optimizer(phase.parameters, **phase.optimizer)
        factory, budget = self.experiment.scheduler, self.budget
        schedule = factory(budget.steps_per_epoch, budget.steps) if factory else Schedule()
        return Player(name, phase, optimizer, schedule)

    def _refuse_to_wait_for_improvement(self) -> None:
        scheduler = any(not player.schedule.of_time for player in self.players)
        waiting = {"scheduler=plateau": scheduler, "trainer.early_stopping": self.trainer.early_stopping is not None}
        for key in (key for key, waits in waiting.items() if waits):
            why = "" if self.trainer.monitor else "the loss is told by a network that learns, and does not compare; "
            raise UserError(
                f"{key}: waits for a figure to improve, and trainer.monitor=last is none: {why}"
                "type trainer.monitor=log_px"
            )

    def own_steps(self) -> Callable[[Given, list[Player]], None]:
        """How this fit takes a step by itself; made anew where its tensors have moved, for recordings keep them."""
        alone = self.world.size == 1  # a recording would have to hold what several processes tell each other as well
        can_be = all(can_be_recorded(player.optimizer) for player in self.players)
        recorded = self.trainer.record_steps and alone and can_be
        modules, compiled = self.experiment.modules(), self.trainer.compile
        return steps_on(self.experiment.device, self._compute, recorded, modules, compiled)

    # the loop's verbs
    def step(self, chosen: Given, step: int) -> None:
        """Trains on the examples of a block, which lie on the device, or on this process's part of them."""
        self.training_step.advance(step)
        playing = self.training_step.playing(step)
        if isinstance(chosen, Batch) and self.world.size > 1:
            self._train(lambda: chosen, self.budget.size(step), playing)
        else:
            self.take(chosen, playing)

    def _compute(self, chosen: Given, playing: list[Player]) -> None:
        if isinstance(chosen, Batch):
            self._train(lambda: chosen, len(chosen), playing)
            return
        data, own = self.experiment.data, self.world.own(chosen.indices)
        self._train(lambda: data.batch(data.train, own, steps=chosen.steps), len(chosen.indices), playing)

    def _train(self, make: Callable[[], Batch], examples: int, playing: list[Player]) -> None:
        """One step, of that many examples, of which `make` makes this process's part."""
        with self.world.part_of(examples):
            figures = self.training_step.gradients(make(), playing)
        played = (parameter for player in playing for parameter in player.phase.parameters)
        self.training_step.update(self.world.average(figures, played, examples), examples, playing)

    def begin_epoch(self) -> None:
        self.sums.begin_epoch()

    @contextlib.contextmanager
    def recording(self, start: int) -> Iterator[None]:
        if self.world.leads:
            self.watch.at_start(getattr(self.experiment.scheduler, "warmup", 0.0), self.budget.epochs)
        with self.recorder.open(start) if self.world.leads else contextlib.nullcontext(), self.beside:
            yield

    def log(self, done: int) -> None:
        """Reads the running means of the window, and says what is worth saying."""
        self.check_finite(done)
        figures = self.sums.window()
        self.finite_at = done if figures else self.finite_at
        if figures and self.world.leads:
            if not self.experiment.objective.judged:  # a loss that moves is not one that diverges
                self.watch.at_log(done, figures["loss"])
            self.recorder.training(done, {**figures, **self._schedules()})

    def _schedules(self) -> dict[str, float]:
        rates = {
            "learning_rate" if player.name == "model" else f"learning_rate_{player.name}": float(
                player.optimizer.param_groups[0]["lr"]
            )
            for player in self.players
        }
        return rates | self.experiment.kl.figures()

    def check_finite(self, done: int) -> None:
        """Stops the run, or reports what was skipped, if a step since the last look was not finite.

        Raises NonFinite.
        """
        bad = self.sums.take_bad()
        if bad is None:
            return
        message = explain(*bad)
        hopeless = self.sums.is_empty() and done - self.finite_at >= HOPELESS
        if self.trainer.nonfinite == "stop" or hopeless:
            raise NonFinite(f"{message}; {self._what_is_kept()}")
        log.warning("%s; the step was skipped", message)

    def _what_is_kept(self) -> str:
        if not self.directory.last.is_file():
            return "no checkpoint had been written yet"
        return f"the last good checkpoint is {self.directory.last}"

    def evaluate(self, split: Any, most: int | None = None) -> Evaluation:
        """The figures of a split, of at most as many examples as trainer.evaluation_examples, or else `most`."""
        experiment = self.experiment
        # the schedule's end, so that figures taken at different times can be compared
        experiment.kl.finish()
        return evaluate(
            experiment.model,
            experiment.objective,
            experiment.kl,
            experiment.data,
            split,
            experiment.device,
            limit=self.trainer.evaluation_examples or most,
        )

    def validate(self, done: int) -> None:
        """Takes the figures of the validation split, draws, and keeps the weights if they are the best so far."""
        self.check_finite(done)
        self._keep_memory(large=False)
        value = self.world.lead(lambda: self._validated(done))
        self._keep_memory(large=True)
        if value is not None:
            self._compare(done, value)

    def _validated(self, done: int) -> float | None:
        """The monitored figure, negated where more is better; None without a validation split."""
        experiment = self.experiment
        self.recorder.step = done
        value = None
        split = experiment.data.validation
        # under a warm-up the training loss is of another objective than the validation loss, which is of the final one
        kl_is_full = experiment.kl.schedule(done - 1) == 1
        with self.averaged():
            if experiment.model.fits_prior and "matches_prior" not in experiment.objective.provides:
                self._fit_prior()
            if len(split):
                evaluation = self.evaluate(split)
                evaluation.figures["sample_diversity"] = self.recorder.pictures.diversity()
                self.recorder.validation(done, evaluation)
                self.watch.at_validation(done, evaluation, self.sums.epoch(), kl_is_full)
                value = self._monitored(evaluation, done)
                if value < self.best["value"]:
                    self._save_best(done)
            self.recorder.pictures.draw(done)
        return value

    def _monitored(self, evaluation: Evaluation, done: int) -> float:
        """What is better is lower."""
        if self.monitor == "last":
            return -float(done)
        value = evaluation.figures[self.monitor]
        assert value is not None
        return value if self.monitor == "loss" else -value

    def _fit_prior(self) -> None:
        experiment = self.experiment
        with Preserved(experiment.model, experiment.device, seed=0):
            indices = mixed(len(experiment.data.train))[:FITTED].to(experiment.device)
            codes = experiment.model.encode(experiment.data.batch(experiment.data.train, indices))
            experiment.model.fit_prior(codes[-1])

    def _compare(self, done: int, value: float) -> None:
        if value < self.best["value"]:
            self.best = {"value": value, "step": done, "since": 0}
        else:
            self.best["since"] += 1
        for player in self.players:
            player.schedule.validated(value)

    def _save_best(self, done: int) -> None:
        self._save(self.directory.best, weights_of(self, done))

    def _save(self, path: Path, state: dict[str, Any]) -> None:
        """After what was drawn before it: a run that goes on from here draws that no more."""
        if self.beside.in_thread:
            self.beside.wait_for(self.saved)  # so that there is one copy at a time
            state = checkpoint.kept(state)
        self.saved = self.beside.do(lambda: checkpoint.save(path, state))

    @property
    def exhausted(self) -> bool:
        patience = self.trainer.early_stopping
        return patience is not None and self.best["since"] >= patience

    def averaged(self) -> Any:
        """Inside: the model has the averaged weights, if an average is kept."""
        return self.average if self.average else contextlib.nullcontext()

    # what outlives the process
    def checkpoint(self, done: int, started: float) -> None:
        self.check_finite(done)
        if self.world.leads:
            is_first = not self.directory.last.is_file()
            self._save(self.directory.last, state_of(self, done, self.seconds_since(started)))
            if is_first:  # where the log goes on without one, it is taken for lost
                self.beside.wait_for(self.saved)

    def restore(self, extended: bool = False) -> int:
        """Brings back the last checkpoint, if any, and cuts the logs back to it. Returns the steps done."""
        state = checkpoint.load(self.directory.last) if self.directory.last.is_file() else None
        if self.world.leads:
            self.directory.cut_metrics(state["step"] if state else 0)
        if state is None:
            return 0
        bring_back(self, state)
        if extended or self.directory.summary().get("steps") == state["step"]:  # also where it was killed since
            self.best["since"] = 0
        return state["step"]

    def seconds_since(self, started: float) -> float:
        """Of training, earlier sittings included."""
        return self.seconds + time.perf_counter() - started

    def finish(self, started: float, stop: GracefulStop) -> dict[str, Any]:
        """Evaluates the best weights on every split, and writes the summary. Raises Interrupted if asked to stop."""
        self._keep_memory(large=False)
        return self.world.lead(lambda: self._finished(started, stop))

    def _finished(self, started: float, stop: GracefulStop) -> dict[str, Any]:
        done = self.recorder.step
        running = self.sums.epoch()
        self.beside.wait()
        with self.averaged():
            if not self.directory.best.is_file() or not len(self.experiment.data.validation):
                # nothing to choose by: the last weights are the best known
                self._save_best(done)
                self.beside.wait()
            best_step, evaluations = evaluate_best(self, stop)
            held_out = "test" if "test" in evaluations else "train"
            self.recorder.pictures.draw_final(done, evaluations[held_out])
        self.beside.wait()
        summary = summary_of(self, best_step, evaluations, running, self.seconds_since(started))
        self.recorder.summary(done, summary)
        self.directory.write_summary(summary)
        return summary
