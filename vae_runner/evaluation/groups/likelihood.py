"""How probable the examples are: log p(x), by importance sampling and, where asked for, by annealing."""

import math
import time
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.splits import mixed
from vae_runner.evaluation.annealed import annealed
from vae_runner.evaluation.blocks import blocks, takes_any_length
from vae_runner.evaluation.checks import exact
from vae_runner.evaluation.groups.subject import Inapplicable, Subject
from vae_runner.evaluation.likelihood import BLOCK, bounds, importance_weighted
from vae_runner.evaluation.standard_errors import beside, of_mean, of_ratio
from vae_runner.models.class_latent import ClassLatent
from vae_runner.models.vrnn import VRNN

MOST = 5000  # draws, as in Burda et al. 2016
SECONDS = 60.0  # that the draws may take where their number is not given
PROBE = 20  # draws by which the time is told


def likelihood(subject: Subject) -> dict[str, Any]:
    """Means over examples in nats, of log p(x), or log p(x|c) for a conditional model, with standard errors.

    `bounds` are L_K of fewer draws too, from 1 on, made of the same ones. Where q(z|x) is one sequence of codes all
    L_K are the same: then it is the `elbo`, and no estimate of log p(x).
    """
    model, settings = subject.model, subject.settings
    first = next(iter(subject.batches(most=BLOCK)))
    with subject.preserved():
        if not model(first).has_density:
            raise Inapplicable("codes without noise have no density, so there is nothing to weigh")
    is_code = "indices" in model.posterior.provides
    draws = 1 if is_code else settings.weights or settings.affordable or _affordable(subject)
    found = bounds(
        model, subject.data, subject.split, subject.device, samples=draws, limit=subject.limit, seed=subject.seed
    )
    log_px = found[draws]
    per_value = _per_value(subject, log_px)
    if is_code:
        return {
            "elbo": float(log_px.mean()),
            "elbo_standard_error": of_mean(log_px),
            "log_likelihood": None,
            "log_likelihood_not_taken": "q(z|x) is one sequence of codes, so that all draws are the same one: the "
            "bound is log p(x|z) + log p(z) of it, and more draws make it no tighter",
            "draws": draws,
            "examples": len(log_px),
            **per_value,
            **_said(model),
            **(_annealed(subject, draws) if settings.temperatures else {}),
        }
    figures: dict[str, Any] = {
        "log_likelihood": float(log_px.mean()),
        "log_likelihood_standard_error": of_mean(log_px),
        "draws": draws,
        "bounds": [
            {"draws": k, "bound": float(of_k.mean()), "standard_error": of_mean(of_k)} for k, of_k in found.items()
        ],
        "examples": len(log_px),
        **per_value,
        **_said(model),
    }
    return {**figures, **(_annealed(subject, draws) if settings.temperatures else {})}


def _examples(subject: Subject) -> int:
    return min(len(subject.split), subject.limit or len(subject.split))


def _affordable(subject: Subject) -> int:
    """How many draws take about a minute: 5,000, 1,000, 500, 100 or 50."""
    parts = blocks(subject.split, subject.device, subject.limit, size=BLOCK, by_length=takes_any_length(subject.model))
    part = parts[len(parts) // 2]  # where these are of like lengths, one of middling length
    generator = torch.Generator(subject.device).manual_seed(subject.seed)
    batch = subject.data.batch(subject.split, part.indices, generator, part.steps)
    with subject.preserved():
        importance_weighted(subject.model, batch, 1)
        started = time.perf_counter()
        float(importance_weighted(subject.model, batch, PROBE).sum())
        each = (time.perf_counter() - started) / PROBE * _examples(subject) / len(batch)
    return next((draws for draws in (MOST, 1000, 500, 100) if draws * each < SECONDS), 50)


def _per_value(subject: Subject, log_px: Tensor) -> dict[str, float | None]:
    """The same per dimension in bits, where values are discrete, and per step of sequences; with standard errors.

    The perplexity of tokens is exp of the negative per step. log_px: of each example, (N,).
    """
    space, log_px = subject.space, exact(log_px).cpu()
    figures: dict[str, float] = {}
    errors: dict[str, float | None] = {}
    counted = [_counts(batch, space) for batch in subject.batches()]
    values, steps = (torch.cat(column) for column in zip(*counted, strict=True))
    if subject.model.likelihood.is_mass(space.support):
        bits = -log_px / math.log(2)
        figures["bits_per_dimension"] = float(bits.sum() / values.sum())
        errors["bits_per_dimension"] = of_ratio(bits, values)
    if space.sequence:
        each = figures["log_likelihood_per_step"] = float(log_px.sum() / steps.sum())
        error = errors["log_likelihood_per_step"] = of_ratio(log_px, steps)
        if space.support == "categorical":
            perplexity = figures["perplexity"] = math.exp(min(-each, 700.0))
            errors["perplexity"] = None if error is None else perplexity * error
    return beside(figures, errors)


def _said(model: Any) -> dict[str, str]:
    """What a reader has to know of the likelihood: that it is given something, or is none."""
    said = {}
    if model.condition is not None and not isinstance(model, ClassLatent):
        said["given"] = "the condition of each example: this is log p(x|c)"
    if model.likelihood.discrete and not model.likelihood.is_mass(model.space.support):
        why = "p(x|z) sums to 1 over black and white, and these are grey levels: this is a negative cross-entropy"
        said["unnormalised"] = f"{why}, which compares with others of grey levels alone"
    return said


def _counts(batch: Any, space: Any) -> tuple[Tensor, Tensor]:
    """How many values and how many steps of each example of a batch count, (B,) each."""
    x, mask = batch.x, batch.mask
    counts = torch.ones_like(x, dtype=torch.float32) if mask is None else mask.expand_as(x)
    steps = counts.flatten(2).amax(2) if space.sequence and counts.dim() > 2 else counts
    values, steps = (exact(part.flatten(1).sum(1)).cpu() for part in (counts, steps))
    return values, steps


def _no_chains(model: Any) -> str | None:
    """Why chains from the prior cannot reach the latents of a model, if they cannot."""
    wrapped = model.model if isinstance(model, ClassLatent) else model
    if isinstance(wrapped, VRNN):
        return "the latents of a step follow from the steps of the example before it: no chain can start without them"
    if wrapped.posterior.on_sphere:
        return "the latents lie on a sphere, which the chains would leave"
    if wrapped.posterior.choices():
        return "some latents are one of a few choices, between which the chains, led by gradients, cannot move"
    return None


def _annealed(subject: Subject, draws: int) -> dict[str, Any]:
    settings, why = subject.settings, _no_chains(subject.model)
    if why:
        return {"annealed_log_likelihood": None, "annealed_not_taken": why}
    n = min(settings.annealed_examples, _examples(subject))
    with subject.preserved():
        # as one batch, which no block of large examples might be
        generator = torch.Generator(subject.device).manual_seed(subject.seed)
        batch = subject.data.batch(subject.split, mixed(len(subject.split))[:n].to(subject.device), generator)
        found = annealed(subject.model, batch, temperatures=settings.temperatures, chains=settings.chains)
        weighted = importance_weighted(subject.model, batch, draws)
    difference = found.log_likelihood.double() - weighted
    return {
        "annealed_log_likelihood": float(found.log_likelihood.mean()),
        "annealed_log_likelihood_standard_error": of_mean(found.log_likelihood),
        "annealed_acceptance": found.acceptance,
        "annealed_steps": settings.temperatures,
        "annealed_chains": settings.chains,
        "annealed_examples": len(batch),
        "log_likelihood_of_these": float(weighted.mean()),
        "log_likelihood_of_these_standard_error": of_mean(weighted),
        "annealed_difference": float(difference.mean()),
        "annealed_difference_standard_error": of_mean(difference),
    }
