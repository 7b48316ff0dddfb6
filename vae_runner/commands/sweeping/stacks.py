"""Which jobs of a sweep can be trained as one, and why the others cannot."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vae_runner import execute
from vae_runner.build import build_trainer
from vae_runner.commands.sweeping.job import Job
from vae_runner.config.values import write
from vae_runner.data.streamed import StreamedSplit
from vae_runner.reporting.flatten import flatten
from vae_runner.training.experiment import Experiment
from vae_runner.training.stacked.stack import DoesNotStack, Stack, Whole, require_alike

# what every run has for itself: the weight of the KL is held in tensors, and the rest is not part of the model
OWN = ("seed", "resume", "choices", "optimizer", "scheduler", "kl")
NAMED = 3  # settings that a reason names, at most
AT_ONCE = 16  # jobs that are trained as one, at most, where nothing is said of it
CACHED = 32 * 2**20  # bytes that the last cache of a CPU holds, or so


@dataclass
class Together:
    """Jobs to train as one, at least two, with what was built of each."""

    jobs: list[Job]
    experiments: list[Experiment]


@dataclass
class Alone:
    """A job that goes by itself; why: where others are trained as one, or could have been."""

    job: Job
    why: str = ""


@dataclass
class Group:
    """Jobs whose configs let them be trained as one; why: what keeps a single one from it.

    fits_cache: of large networks a CPU gets fewer at once, whose weights, gradients and moments stay in its cache.
    """

    jobs: list[Job]
    why: str = ""
    fits_cache: bool = False


def groups(jobs: Sequence[Job], at_once: int | None, processes: int = 1) -> list[Group]:
    """All jobs, `at_once` in a group at most (None: as many as is good), and one for each of the processes at least."""
    most = min(at_once or AT_ONCE, max(2, math.ceil(len(jobs) / processes)))
    alike: dict[str, list[Job]] = {}
    for job in jobs:
        alike.setdefault(json.dumps(form_of(job.values), sort_keys=True, default=str), []).append(job)
    found = []
    for members in alike.values():
        if len(members) == 1 and len(alike) > 1:
            others = [other for other in alike.values() if other is not members]
            found.append(Group(members, _difference(members[0], max(others, key=len)[0])))
            continue
        found += [Group(members[part], fits_cache=at_once is None) for part in _parts(len(members), most)]
    return found


def _parts(n: int, most: int) -> list[slice]:
    """n things in parts of `most` at most and about the same size: none is left over, if it can be helped."""
    size = math.ceil(n / math.ceil(n / most))
    return [slice(start, start + size) for start in range(0, n, size)]


def stacks(group: Group) -> Iterator[Together | Alone]:
    """What of a group can be trained as one after all. What is built is built when it is asked for."""
    if len(group.jobs) == 1:
        yield Alone(group.jobs[0], group.why)
        return
    for part in _of_one_form(group.jobs):
        if isinstance(part, Together) and group.fits_cache:
            yield from _fitting_cache(part)
        else:
            yield part


def _fitting_cache(together: Together) -> Iterator[Together | Alone]:
    model = together.experiments[0].model
    most = len(together.jobs)
    if together.experiments[0].device.type == "cpu":
        weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        most = max(2, CACHED // (4 * weights))  # with gradients and two moments
    for part in _parts(len(together.jobs), most):
        jobs, experiments = together.jobs[part], together.experiments[part]
        yield Together(jobs, experiments) if len(jobs) > 1 else Alone(jobs[0])


def form_of(values: dict[str, Any]) -> dict[str, Any]:
    """What of a config must be equal for jobs to stack: all that is not each run's own or a number of the objective."""
    form = flatten({key: value for key, value in values.items() if key not in OWN})
    for key, value in form.items():
        if key.startswith("objective.") and isinstance(value, int | float) and not isinstance(value, bool):
            form[key] = "a number"
    return form


def _difference(job: Job, other: Job) -> str:
    """In what the forms differ, as it is typed: the option of a group, or else a setting."""
    ours, theirs = form_of(job.values), form_of(other.values)
    found: dict[str, tuple[Any, Any]] = {}
    for key in [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]:
        group = key.partition(".")[0]
        option, others = job.values["choices"].get(group), other.values["choices"].get(group)
        if option != others:
            found[group] = option, others
        else:
            found[key] = ours.get(key), theirs.get(key)
    return _in_words(found, other)


def _why_apart(error: DoesNotStack, job: Job, other: Job) -> str:
    """The same of two jobs of one form, by the settings that both have of the part that makes the difference."""
    if not error.part:
        return str(error)
    ours, theirs = job.values[error.part], other.values[error.part]
    both = [key for key in ours if key in theirs and key != "_target_"]
    found = {f"{error.part}.{key}": (ours[key], theirs[key]) for key in both if ours[key] != theirs[key]}
    return _in_words(found, other)


def _in_words(found: dict[str, tuple[Any, Any]], other: Job) -> str:
    named = [f"{key}={write(a)}, which is {write(b)} in job {other.number}" for key, (a, b) in found.items()]
    return "; ".join(named[:NAMED]) + ("; and more" if len(named) > NAMED else "")


def _of_one_form(jobs: Sequence[Job]) -> Iterator[Together | Alone]:
    left: list[tuple[Job, Experiment]] = []
    for job in jobs:
        try:
            experiment = execute.build_checked(job.values)
        except Exception:
            yield Alone(job)  # which meets it again, says so and notes it in its directory
            continue
        if left:
            experiment.data = left[0][1].data
        left.append((job, experiment))
    apart: dict[int, str] = {}  # by number, why a job does not go with one that came before
    while left:
        lead, *rest = left
        like, left = [lead], []
        for pair in rest:
            try:
                require_alike([Whole(lead[1]), Whole(pair[1])])
                like.append(pair)
            except DoesNotStack as error:
                apart.setdefault(lead[0].number, _why_apart(error, lead[0], pair[0]))
                apart[pair[0].number] = _why_apart(error, pair[0], lead[0])
                left.append(pair)
        yield from _tried_out([job for job, _ in like], [experiment for _, experiment in like], apart)


def _tried_out(jobs: list[Job], experiments: list[Experiment], apart: dict[int, str]) -> Iterator[Together | Alone]:
    if len(jobs) == 1:
        yield Alone(jobs[0], apart.get(jobs[0].number, ""))
        return
    if isinstance(experiments[0].data.train, StreamedSplit):
        why = "its examples are read from disk as they are needed"
    else:
        first = experiments[0]
        trainer = build_trainer(first.config)
        indices = torch.arange(min(trainer.batch_size, len(first.data.train)), device=first.device)
        try:
            batch = first.data.batch(first.data.train, indices.repeat(len(jobs)))
            Stack(experiments).try_out(batch, trainer.precision)
            yield Together(jobs, experiments)
            return
        except DoesNotStack as error:
            why = str(error)
    for job in jobs:
        yield Alone(job, why)
