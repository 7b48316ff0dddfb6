"""Several models as one function of several batches: their weights side by side, one forward and one backward pass."""

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vae_runner.data.space import Batch
from vae_runner.evaluation.evaluate import figures_of, totals_of
from vae_runner.training.device import autocast
from vae_runner.training.experiment import Experiment
from vae_runner.training.stacked.layout import side_by_side

Named = dict[str, Tensor]


class DoesNotStack(Exception):
    """Experiments cannot be computed as one; the message says why, of them or of one of them.

    part: the part of the config whose settings make the difference, where it is one.
    """

    def __init__(self, message: str, part: str = ""):
        super().__init__(message)
        self.part = part


class Whole(nn.Module):
    """What a step of one run computes: losses of a batch, from the model, the objective and the weight of the KL."""

    objective: Any

    def __init__(self, experiment: Experiment):
        super().__init__()
        self.model, self.objective, self.kl = experiment.modules()

    def forward(self, batch: Named) -> tuple[Tensor, Named]:
        """batch: the fields of a Batch. Returns the loss and all figures, scalars."""
        losses, evidence = self.objective.losses(self.model, Batch(**{"input": batch["x"], **batch}), self.kl)
        totals = totals_of(losses)
        return totals["model"], figures_of(losses, totals, evidence)


class Stack:
    """The models, objectives and KL weights of J experiments as one function of J batches.

    parameters: (J, ...) each, those that are trained. Every tensor of the experiments becomes a row of the stack's.

    Raises DoesNotStack where they are of different forms.
    """

    def __init__(self, experiments: Sequence[Experiment]):
        self.experiments = list(experiments)
        wholes = [Whole(experiment) for experiment in experiments]
        self.whole = wholes[0]
        device = experiments[0].device
        self.numbers = {path: values.to(device) for path, values in _differing_numbers(wholes).items()}
        phases = [experiment.objective.phases(experiment.model) for experiment in experiments]
        if len(phases[0]) > 1 or phases[0]["model"].every > 1:
            raise DoesNotStack("its objective has several players")
        self.phases = [phase["model"] for phase in phases]
        trained = {id(parameter) for parameter in self.phases[0].parameters}
        self.members: dict[str, list[Tensor]] = {}  # of the runs, which have the stack's memory
        self.parameters: Named = {}
        self.constants: Named = {}
        for name, tensors in [*_aligned(wholes)]:
            stacked = side_by_side(tensors)
            for tensor, row in zip(tensors, stacked, strict=True):
                tensor.data = row
            self.members[name] = tensors
            if id(tensors[0]) in trained:
                self.parameters[name] = stacked.requires_grad_()
            else:
                self.constants[name] = stacked
        self._each = torch.vmap(self._one, randomness="different")

    def losses(self, batch: Batch) -> tuple[Tensor, Named]:
        """batch: J * B examples, B for each run. Returns the losses and all figures by name, (J,) each."""
        runs = len(self.experiments)
        known = {field.name: getattr(batch, field.name) for field in fields(batch)}
        if batch.input is batch.x:
            del known["input"]
        split = {name: value.unflatten(0, (runs, -1)) for name, value in known.items() if value is not None}
        return self._each(self.parameters, self.constants, self.numbers, split)

    def _one(self, parameters: Named, constants: Named, numbers: Named, batch: Named) -> tuple[Tensor, Named]:
        given = {**parameters, **constants}
        called = dict(given)
        with _replaced(self.whole, numbers):
            result = functional_call(self.whole, called, (batch,))
        for name, tensor in called.items():
            if tensor is not given[name]:
                raise DoesNotStack(f"{name} is replaced in a step, not written to")
        return result

    def gradients(self, losses: Tensor) -> list[Tensor | None]:
        """Of every run's loss by its own parameters, (J, ...) each; None where the loss does not depend on one."""
        parameters = list(self.parameters.values())
        return list(torch.autograd.grad(losses.sum(), parameters, allow_unused=True))

    def try_out(self, batch: Batch, precision: str) -> None:
        """Computes losses and gradients, and leaves everything as it was.

        Raises DoesNotStack where that cannot be done.
        """
        device = self.experiments[0].device
        kept = {name: tensor.clone() for name, tensor in self.constants.items()}
        with torch.random.fork_rng([device] if device.type == "cuda" else []), warnings.catch_warnings():
            warnings.filterwarnings("error", message="There is a performance drop")
            try:
                with autocast(device, precision):
                    losses, _ = self.losses(batch)
                self.gradients(losses)
            except (RuntimeError, ValueError, TypeError, UserWarning, NotImplementedError) as error:
                raise DoesNotStack(_in_plain_words(error, self.numbers)) from error
            finally:
                for name, tensor in self.constants.items():
                    tensor.copy_(kept[name])


def _aligned(wholes: Sequence[Whole]) -> Iterator[tuple[str, list[Tensor]]]:
    """Every parameter and buffer by name, of all of them.

    Raises DoesNotStack where they differ in more than values.
    """
    named = [{**dict(whole.named_parameters()), **dict(whole.named_buffers())} for whole in wholes]
    for name in named[0].keys() | {key for other in named for key in other}:
        shapes = {tuple(tensors[name].shape) if name in tensors else None for tensors in named}
        if len(shapes) > 1:
            raise DoesNotStack(f"{name} is of different shapes", name.partition(".")[0])
    for name in named[0]:
        yield name, [tensors[name] for tensors in named]


def require_alike(wholes: Sequence[Whole]) -> None:
    """Raises DoesNotStack where they differ in more than values."""
    for _ in _aligned(wholes):
        pass
    _differing_numbers(wholes)


def _differing_numbers(wholes: Sequence[Whole]) -> Named:
    """The numbers, by path, in which objectives and KL weights differ apart from their tensors; (J,) each.

    Raises DoesNotStack where they differ in more than numbers.
    """
    if any(type(whole.objective) is not type(wholes[0].objective) for whole in wholes):
        raise DoesNotStack("its objective is of another kind", "objective")
    if any(type(whole.kl).forward is not type(wholes[0].kl).forward for whole in wholes):
        raise DoesNotStack("its kl is of another kind", "kl")
    found: Named = {}
    for part in ("objective", "kl"):
        modules = [dict(whole.get_submodule(part).named_modules(prefix=part)) for whole in wholes]
        for path in modules[0]:
            found |= _differing(path, [of_run[path].__dict__ for of_run in modules])
    return found


def _differing(path: str, settings: list[dict[str, Any]]) -> Named:
    common = set.intersection(*map(set, settings)) - set(vars(nn.Module()))
    found: Named = {}
    for name in sorted(common):
        values = [of_run[name] for of_run in settings]
        if all(value == values[0] for value in values):
            continue
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            raise DoesNotStack(f"{path}.{name} is {values[0]} in one and not in another", path.partition(".")[0])
        found[f"{path}.{name}"] = torch.tensor(values)
    return found


@contextlib.contextmanager
def _replaced(whole: Whole, numbers: Named) -> Iterator[None]:
    """Inside, attributes of these paths are these."""
    places = {path: (whole.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]) for path in numbers}
    kept = {path: getattr(module, name) for path, (module, name) in places.items()}
    try:
        for path, (module, name) in places.items():
            setattr(module, name, numbers[path])
        yield
    finally:
        for path, (module, name) in places.items():
            setattr(module, name, kept[path])


def _in_plain_words(error: Exception, numbers: Named) -> str:
    text = str(error) or type(error).__name__
    if operator := re.search(r"(?i)batching rule (?:not implemented )?for (\S+?)\.? ", text):
        return f"torch has no batched form of {operator[1]}"
    if "data-dependent control flow" in text or ".item() on a Tensor" in text:
        of = f", such as {' or '.join(numbers)}" if numbers else ""
        return f"what it computes depends on values{of}"
    if "setup_context" in text:
        return "torch has no batched form of an operator that it takes gradients of"
    if "requires_grad_()" in text:
        return "it takes a gradient within the step"
    return text.splitlines()[0].partition(". ")[0]
