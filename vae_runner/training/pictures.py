"""What a run draws while it goes on, and at its end."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.data.splits import mixed
from vae_runner.data.tokens import to_text
from vae_runner.evaluation.blocks import size_of_block
from vae_runner.evaluation.evaluate import Evaluation, Preserved
from vae_runner.evaluation.traversals import traverse
from vae_runner.reporting import pictures
from vae_runner.reporting.figures import import_matplotlib
from vae_runner.reporting.run_pictures import Latents, Seen, draw_latents, draw_seen
from vae_runner.reporting.tensorboard import TensorBoard
from vae_runner.run_directory import RunDirectory, write_bytes
from vae_runner.training.beside import Beside
from vae_runner.training.budget import Budget
from vae_runner.training.experiment import Experiment

SHOWN = 20  # examples in a picture of reconstructions
SAMPLES = 60  # in a picture of samples
COLUMNS = 10
LINES = 12  # in a picture of line plots, which take a hundred times as long to draw as an image
TRAVERSED = 256  # examples whose codes say how far a unit is moved
DIVERSITY = 500  # samples, and examples, whose variances are compared
PROJECTED = 1000  # points in the PROJECTOR


class Pictures:
    """Draws the same fixed examples and the same fixed noise every time, so that a person can watch them improve.

    What the device makes for a picture is made at once, the picture itself `beside` the training.
    """

    def __init__(
        self,
        experiment: Experiment,
        directory: RunDirectory,
        budget: Budget,
        beside: Beside,
        tensorboard: TensorBoard,
    ):
        self.experiment, self.directory, self.budget = experiment, directory, budget
        self.beside, self.tensorboard = beside, tensorboard
        self.model, self.space, self.device = experiment.model, experiment.data.space, experiment.device
        data = experiment.data
        self.split = next(split for split in (data.validation, data.test, data.train) if len(split))
        self.fixed = fixed = self._fixed_batch(TRAVERSED)
        self.is_image = self.space.image
        self.shown = _each(fixed, lambda values: values[: SHOWN if self.is_image else LINES])
        self.drawn = _each(self.shown, Tensor.cpu)
        self.limits = pictures.limits_of(self.space, fixed.x, fixed.known)
        self.data_variance = float(self._fixed_batch(DIVERSITY).x.float().var(0, correction=0).sum())
        if beside.in_thread:
            beside.draw(import_matplotlib, lambda _: None)  # for as long as hundreds of steps take

    def _fixed_batch(self, n: int) -> Batch:
        with Preserved(self.model, self.device, seed=0):
            return self.experiment.data.batch(self.split, mixed(len(self.split))[:n].to(self.device))

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
        """n samples, made block by block, of the conditions of n examples where the model has any."""
        size = size_of_block(self.split)
        if self.model.condition is None:
            return torch.cat([self.model.sample(min(size, n - done)) for done in range(0, n, size)])
        batch = self._fixed_batch(n)
        parts = [_each(batch, itemgetter(slice(start, start + size))) for start in range(0, len(batch), size)]
        return torch.cat([self.model.sample(len(part), self.model.context(part)) for part in parts])

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

    def draw(self, done: int) -> None:
        """Reconstructions, samples and traversals after `done` steps, as PNG and in TensorBoard."""
        with Preserved(self.model, self.device, seed=0):
            reconstruction = self.model.reconstruct(self.shown).cpu()
            samples, columns = self._shown_samples()
            moved = [replace(traversal, x=traversal.x.cpu()) for traversal in traverse(self.model, self.fixed)]
        seen = Seen(self.drawn, reconstruction, samples.cpu(), columns, moved)
        drawing = partial(draw_seen, self.space, seen, self._when(done), self.limits)
        self.beside.draw(drawing, lambda drawn: self._write_seen(drawn, seen.samples, done))

    def _write_seen(self, drawn: Mapping[str, bytes], samples: Tensor, done: int) -> None:
        if self.space.support == "categorical":
            self.tensorboard.text("samples", "\n".join(to_text(samples, self.space.vocabulary)), done, language="text")
        for name, encoded in drawn.items():
            self._write(Path(name) / self._file(done), name, encoded, done)

    def draw_final(self, done: int, evaluation: Evaluation) -> None:
        """Where the codes of the held-out examples lie, and what each unit costs."""
        data = self.experiment.data
        split = data.test if len(data.test) else data.train
        n = min(PROJECTED, len(evaluation.codes))
        with Preserved(self.model, self.device, seed=0):
            x = data.batch(split, mixed(len(split))[:n].to(self.device)).x.cpu()  # as codes are of them
        kl_units = evaluation.kl_units and [units.cpu() for units in evaluation.kl_units]
        latents = Latents(evaluation.codes, evaluation.labels, x, kl_units, data.first_factor)
        drawing = partial(draw_latents, self.space, latents, done, self.limits)
        self.beside.draw(drawing, lambda drawn: self._write_latents(*drawn, done))

    def _write_latents(self, drawn: Mapping[str, bytes], projector: Mapping[str, bytes], done: int) -> None:
        for name, encoded in drawn.items():
            self._write(Path(f"{name}.png"), name, encoded, done)
        self.tensorboard.projector(projector)

    def _write(self, path: Path, tag: str, encoded: bytes, done: int) -> None:
        write_bytes(self.directory.images / path, encoded)
        self.tensorboard.image(tag, encoded, done)

    def _when(self, done: int) -> str:
        epoch, rest = divmod(done, self.budget.steps_per_epoch)
        return f"epoch {epoch}" if not rest else f"epoch {done / self.budget.steps_per_epoch:.2f}, step {done}"

    def _file(self, done: int) -> str:
        epoch, rest = divmod(done, self.budget.steps_per_epoch)
        return f"epoch_{epoch:04d}.png" if not rest else f"epoch_{epoch:04d}_step_{done:07d}.png"


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """With each of its tensors changed; an input that is the target stays it."""
    of = {field.name: getattr(batch, field.name) for field in fields(batch)}
    changed: dict[str, Any] = {name: None if values is None else change(values) for name, values in of.items()}
    if batch.input is batch.x:
        changed["input"] = changed["x"]
    return Batch(**changed)
