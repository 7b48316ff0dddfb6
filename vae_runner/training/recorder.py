"""What a run leaves behind while it goes on: logged lines, TensorBoard, pictures, and the line a person watches."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from vae_runner.evaluation.evaluate import Evaluation
from vae_runner.reporting.console import Progress
from vae_runner.reporting.flatten import flatten
from vae_runner.reporting.tensorboard import TensorBoard
from vae_runner.run_directory import RunDirectory
from vae_runner.training.beside import Beside
from vae_runner.training.budget import Budget
from vae_runner.training.experiment import Experiment
from vae_runner.training.pictures import Pictures

FIGURES = ("loss", "elbo", "log_px", "kl", "active_units", "mutual_information")


class Recorder:
    """Within `open` it takes figures, and has the `pictures` of the run."""

    pictures: Pictures

    def __init__(self, experiment: Experiment, directory: RunDirectory, budget: Budget, beside: Beside):
        self.experiment, self.directory, self.budget, self.beside = experiment, directory, budget, beside
        self.step = 0

    @contextlib.contextmanager
    def open(self, start: int) -> Iterator[None]:
        """Logs from after step `start`; whatever an earlier process logged later than that is hidden."""
        self.step = start
        there_before = any(self.directory.tensorboard.glob("events.out.*"))
        self.tensorboard = TensorBoard(self.directory.tensorboard, purge_step=start + 1 if there_before else None)
        self._marked = (time.perf_counter(), start)
        try:
            self.pictures = Pictures(self.experiment, self.directory, self.budget, self.beside, self.tensorboard)
            if not start:
                self.tensorboard.text("config", self.directory.config.read_text(), language="yaml")
            self.tensorboard.hyperparameters(self._hyperparameters())
            with Progress(self.budget.steps, start, steps_per_epoch=self.budget.steps_per_epoch) as self.progress:
                yield
        finally:
            self.tensorboard.close()

    def _hyperparameters(self) -> dict[str, Any]:
        config = dict(self.experiment.config)
        choices = config.pop("choices", {})
        flat = {key: value for key, value in flatten(config).items() if not key.endswith("_target_")}
        return {**flat, **{group: option for group, option in choices.items() if option is not None}}

    # figures
    def training(self, done: int, figures: dict[str, float]) -> None:
        """Means over the steps since the last line, with the schedules' values now."""
        now, (then, before) = time.perf_counter(), self._marked
        self._marked = (now, done)
        examples = (done - before) / self.budget.steps_per_epoch * self.budget.examples
        rate = examples / max(now - then, 1e-9)
        of_run = {key: figures.pop(key) for key in list(figures) if key.startswith(("learning_rate", "kl_"))}
        of_run["examples_per_second"] = rate
        self._line(done, "train", {**figures, **of_run})
        self.tensorboard.scalars(done, "train", figures)
        self.tensorboard.scalars(done, None, of_run)
        self._progress(done, "train", figures)

    def validation(self, done: int, evaluation: Evaluation) -> None:
        self._line(done, "validation", evaluation.figures, kl_units=evaluation.kl_units)
        self.tensorboard.scalars(done, "validation", evaluation.figures)
        if evaluation.kl_units is not None:
            for number, units in enumerate(evaluation.kl_units, 1):
                level = f"_level_{number}" if len(evaluation.kl_units) > 1 else ""
                self.tensorboard.histogram(f"kl_per_unit/validation{level}", units, done)
        self._progress(done, "validation", evaluation.figures)

    def _progress(self, done: int, split: str, figures: Mapping[str, float | None]) -> None:
        self.step = done
        self.progress.update(done, {f"{split} loss": figures["loss"]})

    def _line(self, done: int, split: str, figures: Mapping[str, Any], kl_units: list[Tensor] | None = None) -> None:
        line = {"step": done, "epoch": done / self.budget.steps_per_epoch, "split": split, **figures}
        if kl_units is not None:
            line["kl_units"] = [[round(value, 6) for value in units.tolist()] for units in kl_units]
        self.directory.append_metrics(line)

    def summary(self, done: int, summary: dict[str, Any]) -> None:
        """The run's row under HPARAMS."""
        splits = {name: summary[name] for name in ("test", "validation") if summary[name]}
        figures = {f"{split}/{name}": values.get(name) for split, values in splits.items() for name in FIGURES}
        self.tensorboard.hyperparameters(self._hyperparameters(), figures, done)
