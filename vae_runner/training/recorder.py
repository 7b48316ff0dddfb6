"""What a run leaves behind while it goes on: logged lines, TensorBoard, pictures, and the line a person watches."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.data.splits import mixed
from vae_runner.data.tokens import to_text
from vae_runner.evaluation.evaluate import Evaluation, Preserved
from vae_runner.evaluation.traversals import traverse
from vae_runner.reporting import pictures
from vae_runner.reporting.console import Progress
from vae_runner.reporting.figures import kl_bars, latent_map
from vae_runner.reporting.flatten import flatten
from vae_runner.reporting.png import png
from vae_runner.reporting.tensorboard import TensorBoard
from vae_runner.reporting.traversals import draw_traversals
from vae_runner.run_directory import RunDirectory, write_bytes
from vae_runner.training.budget import Budget
from vae_runner.training.experiment import Experiment

SHOWN = 20  # examples in a picture of reconstructions
SAMPLES = 60  # in a picture of samples
COLUMNS = 10
LINES = 12  # in a picture of line plots, which take a hundred times as long to draw as an image
TRAVERSED = 256  # examples whose codes say how far a unit is moved
DIVERSITY = 500  # samples, and examples, whose variances are compared
PROJECTED = 1000  # points in the PROJECTOR
FIGURES = ("loss", "elbo", "log_px", "kl", "active_units", "mutual_information")


class Recorder:
    """Draws the same fixed examples and the same fixed noise every time, so that a person can watch them improve."""

    def __init__(self, experiment: Experiment, directory: RunDirectory, budget: Budget):
        self.experiment, self.directory, self.budget = experiment, directory, budget
        self.model, self.space, self.device = experiment.model, experiment.data.space, experiment.device
        data = experiment.data
        self.split = next(split for split in (data.validation, data.test, data.train) if len(split))
        fixed = self._fixed_batch(TRAVERSED)
        self.fixed = fixed
        self.is_image = self.space.image
        self.shown = _first(fixed, SHOWN if self.is_image else LINES)
        self.limits = pictures.limits_of(self.space, fixed.x, fixed.known)
        self.data_variance = float(self._fixed_batch(DIVERSITY).x.float().var(0, correction=0).sum())
        self.step = 0

    def _fixed_batch(self, n: int) -> Batch:
        with Preserved(self.model, self.device, seed=0):
            return self.experiment.data.batch(self.split, mixed(len(self.split))[:n].to(self.device))

    @contextlib.contextmanager
    def open(self, start: int) -> Iterator[None]:
        """Logs from after step `start`; whatever an earlier process logged later than that is hidden."""
        self.step = start
        there_before = any(self.directory.tensorboard.glob("events.out.*"))
        self.tensorboard = TensorBoard(self.directory.tensorboard, purge_step=start + 1 if there_before else None)
        self._marked = (time.perf_counter(), start)
        try:
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

    def diversity(self) -> float | None:
        """The total variance of samples from the model as a share of the data's: near zero where they are all alike.

        None for tokens, whose numbers have no variance to speak of.
        """
        if self.space.support == "categorical":
            return None
        with Preserved(self.model, self.device, seed=0):
            samples = self._samples(DIVERSITY)
        return float(samples.float().var(0, correction=0).sum()) / max(self.data_variance, 1e-12)

    def _samples(self, n: int) -> Tensor:
        if self.model.condition is None:
            return self.model.sample(n)
        batch = self._fixed_batch(n)
        return self.model.sample(len(batch), self.model.context(batch))

    def _shown_samples(self) -> tuple[Tensor, int]:
        """Samples for a picture, and its columns: a row per kind of condition, where there are few."""
        n, columns = (SAMPLES, COLUMNS) if self.is_image else (LINES, COLUMNS)
        each = self.model.condition.each() if self.model.condition is not None else None
        if each is None:
            return self._samples(n), columns
        c = each[0].to(self.device)
        columns = max(n // len(c), 1)
        context = self.model.condition(c).repeat_interleave(columns, 0)
        return self.model.sample(len(context), context), columns

    # pictures
    def pictures(self, done: int) -> None:
        """Reconstructions, samples and traversals, as PNG and in TensorBoard."""
        self.step = done
        title = self._when(done)
        with Preserved(self.model, self.device, seed=0):
            reconstruction = self.model.reconstruct(self.shown)
            samples, columns = self._shown_samples()
            traversals = traverse(self.model, self.fixed)
        corrupted = None if self.shown.input is self.shown.x else self.shown.input
        drawn = {
            "reconstructions": pictures.draw_reconstructions(
                self.space,
                self.shown.x,
                reconstruction,
                corrupted,
                title=title,
                limits=self.limits,
                mask=self.shown.known,
            ),
            "samples": pictures.draw_examples(self.space, samples, columns=columns, title=title, limits=self.limits),
            "traversals": draw_traversals(self.space, traversals, about=title, limits=self.limits),
        }
        if self.space.support == "categorical":
            self.tensorboard.text("samples", "\n".join(to_text(samples, self.space.vocabulary)), done, language="text")
        for name, image in drawn.items():
            self._picture(Path(name) / self._file(done), name, image, done)

    def final_pictures(self, done: int, evaluation: Evaluation) -> None:
        """Where the codes of the held-out examples lie, and what each unit costs."""
        labels, names = evaluation.labels, self.space.class_names
        factor, title = self.experiment.data.first_factor, "codes of held-out examples, best weights"
        image = latent_map(evaluation.codes, labels, names, factor=factor, title=title)
        self._picture(Path("latents.png"), "latents", image, done)
        if evaluation.kl_units is not None:
            self._picture(Path("kl_units.png"), "kl_units", kl_bars(evaluation.kl_units), done)
        data = self.experiment.data
        split = data.test if len(data.test) else data.train
        n = min(PROJECTED, len(evaluation.codes))
        with Preserved(self.model, self.device, seed=0):
            x = data.batch(split, mixed(len(split))[:n].to(self.device)).x  # as codes are of them
        y = None if labels is None else labels[:n].reshape(n, -1)[:, 0]
        images = x if self.is_image else None
        self.tensorboard.embedding(evaluation.codes[:n], y, images, done, class_names=names, limits=self.limits)

    def _picture(self, path: Path, tag: str, image: Image.Image, done: int) -> None:
        encoded = png(image)
        write_bytes(self.directory.images / path, encoded)
        self.tensorboard.image(tag, encoded, done)

    def _when(self, done: int) -> str:
        epoch, rest = divmod(done, self.budget.steps_per_epoch)
        return f"epoch {epoch}" if not rest else f"epoch {done / self.budget.steps_per_epoch:.2f}, step {done}"

    def _file(self, done: int) -> str:
        epoch, rest = divmod(done, self.budget.steps_per_epoch)
        return f"epoch_{epoch:04d}.png" if not rest else f"epoch_{epoch:04d}_step_{done:07d}.png"

    def summary(self, done: int, summary: dict[str, Any]) -> None:
        """The run's row under HPARAMS."""
        splits = {name: summary[name] for name in ("test", "validation") if summary[name]}
        figures = {f"{split}/{name}": values.get(name) for split, values in splits.items() for name in FIGURES}
        self.tensorboard.hyperparameters(self._hyperparameters(), figures, done)


def _first(batch: Batch, n: int) -> Batch:
    x = batch.x[:n]
    return Batch(
        x=x,
        input=x if batch.input is batch.x else batch.input[:n],
        y=None if batch.y is None else batch.y[:n],
        c=None if batch.c is None else batch.c[:n],
        mask=None if batch.mask is None else batch.mask[:n],
        missing=None if batch.missing is None else batch.missing[:n],
    )
