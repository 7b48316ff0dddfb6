"""The figures of a model on a split: the bound and its terms, and how the latents are used.

All in nats per example. The noise is drawn from a seed of its own and the training's random state is left as it was
found, so that a figure is the same whenever it is taken.
"""

import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.data.data import Data
from vae_runner.data.space import Batch
from vae_runner.data.splits import Split
from vae_runner.evaluation import units as latent_units
from vae_runner.evaluation.aggregate_posterior import mutual_information
from vae_runner.evaluation.blocks import blocks, means_are_of_any_blocks
from vae_runner.evaluation.latents import ACTIVE, Moments
from vae_runner.evaluation.rungs import rungs_of
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence, Level
from vae_runner.models.path import Path
from vae_runner.noise import seed_generators
from vae_runner.reporting.progress import watched

STREAM = 0x5EED5EED  # evaluation draws other numbers than the initial weights, whatever the seeds are
MUTUAL_INFORMATION_EXAMPLES = 512
PAIRS, LEAST = 50_000_000, 64  # of which it is made in a training, as `aggregate_posterior` says
CODES = 10_000  # codes kept for maps, at most


@dataclass
class Evaluation:
    """figures: means over the split by name; None where a figure is undefined.

    kl_units: mean KL by unit of each level, the one next to x first, (U,); a level whose KL does not part has one.
    codes: those of `model.encode` of the first examples (M, D), all levels side by side, labels: their y.
    `kl_is_estimate`: whether the KL is a Monte Carlo one. `examples`: how many were seen. `units`: latent units, of
    which `active_units` are active.
    """

    figures: dict[str, float | None]
    kl_units: list[Tensor] | None
    codes: Tensor
    labels: Tensor | None
    kl_is_estimate: bool
    examples: int
    units: int


class Preserved:
    """A block of code with a random state of its own, in evaluation mode and without gradients."""

    def __init__(self, model: torch.nn.Module, device: torch.device, seed: int):
        self.model, self.device, self.seed = model, device, seed

    def __enter__(self) -> None:
        devices = [self.device] if self.device.type == "cuda" else []
        self._fork = torch.random.fork_rng(devices)
        self._fork.__enter__()
        seed_generators(self.device, STREAM ^ self.seed)
        self._training = self.model.training
        self.model.eval()
        self._no_grad = torch.no_grad()
        self._no_grad.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._no_grad.__exit__(*error)
        self.model.train(self._training)
        self._fork.__exit__(*error)


def evaluate(
    model: Any,
    objective: Any,
    kl: KL,
    data: Data,
    split: Split,
    device: torch.device,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> Evaluation:
    """Evaluates a model on a split, or on `limit` of its examples, the first in the order of `mixed`.

    `loss` and its terms are what is minimised, with the weight that `kl` has now. `elbo` is log_px - kl with weight one
    and no floor, from one sample of z per example; log_px is averaged over it. Its standard error is over examples.
    """
    with Preserved(model, device, seed):
        total: dict[str, Tensor] = {}
        counts: dict[str, int] = {}  # a figure may have nothing to say of a block
        codes, labels, estimate, seen = [], [], False, 0
        kept: list[Tensor] = []  # places of those whose codes are
        kl_units: list[Tensor] = []  # sums
        moments: list[Moments] = []  # of each level
        spread = {name: Moments() for name in ("log_px", "kl", "elbo")}
        informed: list[list[Level]] = []  # of the first examples, which may take several blocks
        parts = blocks(split, device, limit, by_length=means_are_of_any_blocks(model, objective, kl))
        batches = data.batches(split, [part.indices for part in parts], steps=[part.steps for part in parts])
        for part, batch in zip(parts, watched(batches, len(parts)), strict=True):
            losses, evidence = objective.losses(model, batch, kl)
            figures = figures_of(losses, totals_of(losses), evidence)
            for name, value in figures.items():
                total[name] = total.get(name, 0) + value.double() * len(batch)
                counts[name] = counts.get(name, 0) + len(batch)
            of_levels, there = _codes(model, batch, evidence)
            moments = moments or [Moments() for _ in of_levels]
            for moment, code in zip(moments, of_levels, strict=True):
                moment.add(code, there)
            if len(first := part.first(CODES)):
                kept.append(part.places[first])
                codes.append(torch.cat([code.flatten(1) for code in of_levels], 1).float().cpu()[first])
                labels.append(None if batch.y is None else batch.y.cpu()[first])
            log_px = evidence.log_px.mean(0)
            spread["log_px"].add(log_px)
            if evidence.has_density:
                units = [level.kl_units.double().sum(0) for level in evidence.levels]
                kl_units = [a + b for a, b in zip(kl_units, units, strict=True)] if kl_units else units
                estimate = evidence.kl_is_estimate
                spread["kl"].add(evidence.kl)
                spread["elbo"].add(log_px - evidence.kl)
                first = part.first(MUTUAL_INFORMATION_EXAMPLES)
                if len(first) and isinstance(evidence.top.q, latent_units.KNOWN):
                    # what a condition has to do with the way down is in no one aggregate posterior
                    levels = evidence.levels if model.condition is None else [evidence.top]
                    informed.append([_of(level, first.to(device)) for level in levels])
            seen += len(batch)
        result: dict[str, float | None] = {name: float(value) / counts[name] for name, value in total.items()}
        mean, kl_mean = result["log_px"], result.setdefault("kl", None)
        result["elbo"] = None if kl_mean is None or mean is None else mean - kl_mean
        for name in ("log_px", "kl", "elbo") if seen > 1 else ():
            if result[name] is not None:
                result[f"{name}_standard_error"] = math.sqrt(float(spread[name].variance()) / seen)
        variances = [moment.unit_variance() for moment in moments]
        active = [int((variance > ACTIVE).sum()) for variance in variances]
        counted = {"active_units": sum(active)}
        if len(active) > 1:
            counted |= {f"level_{number}_active_units": count for number, count in enumerate(active, 1)}
        result |= counted if seen > 1 else dict.fromkeys(counted)  # one example does not vary
        result |= _mutual_information(informed)
        return Evaluation(
            figures=result,
            kl_units=[(units / seen).float().cpu() for units in kl_units] or None,
            codes=torch.cat(codes)[(order := torch.cat(kept).argsort())],
            labels=torch.cat(known)[order] if (known := [y for y in labels if y is not None]) else None,
            kl_is_estimate=estimate,
            examples=seen,
            units=sum(map(len, variances)),
        )


def totals_of(losses: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The loss of each phase: the sum of its terms, so that the log always adds up."""
    return {phase: functools.reduce(torch.add, terms.values()) for phase, terms in losses.items()}


def figures_of(losses: dict[str, dict[str, Tensor]], totals: dict[str, Tensor], evidence: Any) -> dict[str, Tensor]:
    """What is logged of a batch, as scalars: each loss and its terms, log_px, and the KL where it is defined.

    Of a ladder also the KL of each level.
    """
    figures: dict[str, Tensor] = {}
    for phase, terms in losses.items():
        name = "loss" if phase == "model" else f"loss_{phase}"
        figures[name] = totals[phase].detach()
        figures |= {f"{name}_{term}": value.detach() for term, value in terms.items()}
    with torch.no_grad():
        figures["log_px"] = evidence.mean_log_px.detach()
        if evidence.has_density:
            figures["kl"] = evidence.kl.mean()
            if len(evidence.levels) > 1:
                for number, level in enumerate(evidence.levels, 1):
                    figures[f"level_{number}_kl"] = level.kl_units.sum(1).mean()
    return figures | {name: value.detach() for name, value in evidence.figures.items()}


def _codes(model: Any, batch: Batch, evidence: Evidence) -> tuple[list[Tensor], Tensor | None]:
    """What `model.encode` makes of a batch: means given means, not given the draws that the evidence is of.

    Where latents are a path of steps, also 1 for the positions (B, 1, T) that an example has. Then the codes have as
    many positions whatever the batch is cut to, and zeros at those that an example has not.
    """
    if not isinstance(path := evidence.top.q, Path):
        return ([evidence.top.code] if len(evidence.levels) == 1 else model.encode(batch)), None
    there = path.there[: len(batch), None]  # the same for every draw of an example
    there = F.pad(there, (0, model.latent_shapes[0][-1] - there.shape[-1]))
    codes = model.encode(batch)
    return [F.pad(code, (0, there.shape[-1] - code.shape[-1])) * there for code in codes], there


def _of(level: Level, rows: Tensor) -> Level:
    """The level of some of the examples, without its features."""
    below = level.proposed is not None
    q, p = level.q[rows], level.p[rows] if below else level.p
    return Level(level.z.index_select(1, rows), q, p, proposed=level.proposed[rows] if below else None)


def _mutual_information(informed: Sequence[Sequence[Level]]) -> dict[str, float | None]:
    """I(x; z), of a ladder of all levels, and of each given those above it; with standard errors over draws."""
    if not informed:
        return {"mutual_information": None}
    of_levels = mutual_information(rungs_of(informed), PAIRS, LEAST)[::-1]
    named = {"mutual_information": functools.reduce(operator.add, of_levels)}
    if len(of_levels) > 1:
        named |= {f"level_{number}_mutual_information": found for number, found in enumerate(of_levels, 1)}
    result: dict[str, float | None] = {}
    for name, found in named.items():
        result[name] = found.mean
        if found.standard_error is not None:
            result[f"{name}_standard_error"] = found.standard_error
    return result
