"""The training steps of several runs as one: their weights side by side, one forward and one backward pass for all.

Each run keeps its own model, optimizer, schedules, sums and log, all of them ordinary; only the memory of its tensors
is a row of tensors (J, ...) that J runs share. So whatever is done between steps is done as for any other run.
"""

import contextlib
import json
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
from vae_runner.training.fitting import Fitting
from vae_runner.training.recorded import steps_on
from vae_runner.training.seeds import derived
from vae_runner.training.step import Player, Sums, hold_back

Named = dict[str, Tensor]


class DoesNotStack(Exception):
    """Experiments cannot be computed as one; the message says why, of them or of one of them."""


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
            stacked = _side_by_side(tensors)
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


class StackedSteps:
    """The steps of J fits that stand at the same step. Every tensor of theirs becomes a row of the stack's."""

    def __init__(self, fittings: Sequence[Fitting]):
        # those that can share an optimizer stand next to each other
        crews: dict[str, list[Fitting]] = {}
        for fitting in fittings:
            crews.setdefault(_crew_of(fitting), []).append(fitting)
        self.fittings = [fitting for crew in crews.values() for fitting in crew]
        first = self.fittings[0]
        self.experiment, self.trainer = first.experiment, first.trainer
        self.stack = Stack([fitting.experiment for fitting in self.fittings])
        self.sums = Sums(self.experiment.device)
        self.crews, start = [], 0
        for crew in crews.values():
            self.crews.append(Crew(crew, self.stack, slice(start, start + len(crew))))
            start += len(crew)
        for fitting in self.fittings:
            fitting.is_stacked = True
            fitting.sums.step = self.sums.step
            if fitting.average:
                fitting.average.follow(fitting.experiment.model)
        self.take = steps_on(self.experiment.device, self._compute, self.trainer.cuda_graphs)

    def seed(self, step: int) -> None:
        """Seeds the noise of the steps from `step` on, by the seeds of all."""
        first, *others = [fitting.experiment.seed for fitting in self.fittings]
        torch.manual_seed(derived(first, "noise of a stack", step, *others))

    def step(self, indices: Sequence[Tensor], step: int) -> None:
        """Trains every run, in the order of `fittings`, on the examples at its indices (B,)."""
        self.sums.step.fill_(step)
        for fitting in self.fittings:
            fitting.experiment.kl.advance(step)
            for player in fitting.players:
                player.advance(step)
        for crew in self.crews:
            crew.player.advance(step)
        self.take(torch.cat([*indices]), self.fittings[0].players)
        for crew in self.crews:
            crew.hand_out()

    def _compute(self, indices: Tensor, playing: list[Player]) -> None:
        data, examples = self.experiment.data, len(indices) // len(self.fittings)
        with autocast(self.experiment.device, self.trainer.precision):
            losses, figures = self.stack.losses(data.batch(data.train, indices))
        for crew in self.crews:
            crew.forget_gradients()  # before, so that the new gradients can have the old ones' memory
        gradients = self.stack.gradients(losses)
        known = [gradient for gradient in gradients if gradient is not None]
        norms = torch.stack([_norms(gradient) for gradient in known]).norm(dim=0)
        figures["gradient_norm"] = norms
        if not self.sums.names:
            self._share_sums([*figures])
        finite = self.sums.add(figures, examples)
        if self.trainer.gradient_clip is not None:
            # as torch.nn.utils.clip_grads_with_norm_ does
            share = (self.trainer.gradient_clip / (norms + 1e-6)).clamp(max=1)
            for gradient in known:
                gradient.mul_(_along(share, gradient))
        for crew in self.crews:
            crew.move(gradients, finite)
        for fitting in self.fittings:
            if fitting.average:
                fitting.average.update()

    def _share_sums(self, names: list[str]) -> None:
        self.sums.start(names, (len(self.fittings),))
        for row, fitting in enumerate(self.fittings):
            for name in ("totals", "bad", "first_bad"):
                of_run = getattr(self.sums, name)[row]
                if fitting.sums.names:
                    of_run.copy_(getattr(fitting.sums, name))
                setattr(fitting.sums, name, of_run)
            fitting.sums.names = names


def release(fitting: Fitting, step: int) -> None:
    """Makes a fit of a stack one by itself again, from `step` on: its tensors, and its noise."""
    for module in fitting.experiment.modules():
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    for player in fitting.players:
        for state in player.optimizer.state.values():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    state[key] = value.clone(memory_format=torch.contiguous_format)
    if fitting.average:
        fitting.average.follow(fitting.experiment.model)
    fitting.is_stacked = False
    torch.manual_seed(derived(fitting.experiment.seed, "noise", step))


class Crew:
    """Neighbours in a stack that one optimizer moves: one run, or several whose settings agree.

    The state of each run's own optimizer is a row of this one's. rows: where the runs are in the stack.
    """

    def __init__(self, fittings: Sequence[Fitting], stack: Stack, rows: slice):
        lead = fittings[0].players[0]
        self.rows = rows
        self.may_skip = fittings[0].trainer.nonfinite == "skip"
        self.optimizers = [fitting.players[0].optimizer for fitting in fittings]
        self.members = [stack.members[name][rows] for name in stack.parameters]
        self.parameters = [_as_it_lies(parameter.detach()[rows]) for parameter in stack.parameters.values()]
        self.optimizer = fittings[0].experiment.optimizer(self.parameters, **lead.phase.optimizer)
        self.player = Player(lead.name, lead.phase, self.optimizer, lead.schedule)
        self.handed_out = 0
        self._take_over()

    def forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def move(self, gradients: Sequence[Tensor | None], finite: Tensor) -> None:
        """gradients (J, ...) of every parameter, finite (J,): of all runs of the stack.

        A run that stops at a step that is not finite saves nothing of what comes after; it is not held back here.
        """
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else _as_it_lies(gradient[self.rows]).contiguous()
        if self.may_skip:
            hold_back(self.optimizer, self.parameters, finite[self.rows].squeeze(0))
        self.optimizer.step()

    def _take_over(self) -> None:
        for parameter, members in zip(self.parameters, self.members, strict=True):
            pairs = zip(self.optimizers, members, strict=True)
            states = [optimizer.state.get(member, {}) for optimizer, member in pairs]
            if all(states):
                self.optimizer.state[parameter] = {key: _joined(key, states) for key in states[0]}

    def hand_out(self) -> None:
        """Gives every run's own optimizer its rows of a state that is new."""
        if self.handed_out == len(self.optimizer.state):
            return
        self.handed_out = len(self.optimizer.state)
        for parameter, members in zip(self.parameters, self.members, strict=True):
            if not (state := self.optimizer.state.get(parameter)):
                continue  # it has no gradient
            for row, (optimizer, member) in enumerate(zip(self.optimizers, members, strict=True)):
                optimizer.state[member] = {
                    key: _row(value, row) if _has_rows(key, value) else value for key, value in state.items()
                }


def _has_rows(key: str, value: Any) -> bool:
    return isinstance(value, Tensor) and key != "step"


def _joined(key: str, states: list[dict[str, Any]]) -> Any:
    value = states[0][key]
    if _has_rows(key, value):
        return _as_it_lies(_side_by_side([state[key] for state in states]))
    return value.clone() if isinstance(value, Tensor) else value


def _crew_of(fitting: Fitting) -> str:
    """Runs of one crew have the same."""
    (player,), experiment = fitting.players, fitting.experiment
    shares = getattr(experiment.optimizer, "elementwise", False) and player.schedule.of_time
    if not shares or fitting.trainer.nonfinite == "skip":
        return str(id(fitting))
    taken = {float(state["step"]) for state in player.optimizer.state.values() if "step" in state}
    settings = experiment.config["optimizer"], experiment.config["scheduler"], player.phase.optimizer
    return json.dumps([*settings, sorted(taken), bool(player.optimizer.state)], sort_keys=True)


def _aligned(wholes: Sequence[Whole]) -> Iterator[tuple[str, list[Tensor]]]:
    """Every parameter and buffer by name, of all of them.

    Raises DoesNotStack where they differ in more than values.
    """
    named = [{**dict(whole.named_parameters()), **dict(whole.named_buffers())} for whole in wholes]
    for name in named[0].keys() | {key for other in named for key in other}:
        shapes = {tuple(tensors[name].shape) if name in tensors else None for tensors in named}
        if len(shapes) > 1:
            raise DoesNotStack(f"{name} is of different shapes")
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
        raise DoesNotStack("its objective is of another kind")
    if any(type(whole.kl).forward is not type(wholes[0].kl).forward for whole in wholes):
        raise DoesNotStack("its kl is of another kind")
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
            raise DoesNotStack(f"{path}.{name} is {values[0]} in one and not in another")
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
    return text.splitlines()[0].partition(". ")[0]


def _side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    """(J, ...) of J tensors; matrices lie there transposed, as the gradients of matrices that x is multiplied by do."""
    if tensors[0].ndim == 2:
        return torch.stack([tensor.detach().mT for tensor in tensors]).mT
    return torch.stack([tensor.detach() for tensor in tensors])


def _as_it_lies(tensor: Tensor) -> Tensor:
    """(J, ...), matrices transposed: contiguous, as fused optimizers take it for granted of all that they are given."""
    return tensor.mT if tensor.ndim == 3 else tensor


def _row(tensor: Tensor, row: int) -> Tensor:
    """A run's own of what lies so."""
    return tensor[row].mT if tensor.ndim == 3 else tensor[row]


def _norms(gradient: Tensor) -> Tensor:
    """(J, ...) -> (J,)."""
    axes = tuple(range(1, gradient.ndim))
    return torch.linalg.vector_norm(gradient, dim=axes) if axes else gradient.abs()


def _along(values: Tensor, tensor: Tensor) -> Tensor:
    """values (J,), as they multiply a tensor (J, ...)."""
    return values.view(-1, *[1] * (tensor.ndim - 1))
