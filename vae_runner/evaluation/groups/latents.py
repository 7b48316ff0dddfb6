"""What the codes say of the examples, and how far together they are from the prior."""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vae_runner.distributions.codes import UniformCodes
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.distributions.posteriors.joint import Product
from vae_runner.distributions.posteriors.quantized import Code
from vae_runner.distributions.priors.mixture import GaussianMixture
from vae_runner.distributions.priors.vamp import MixtureOfPosteriors
from vae_runner.distributions.von_mises_fisher import UniformOnSphere
from vae_runner.evaluation import units
from vae_runner.evaluation.aggregate_posterior import Decomposition, Estimate, decompose, decompose_codes
from vae_runner.evaluation.groups.subject import Inapplicable, Subject
from vae_runner.evaluation.rungs import rungs_of
from vae_runner.models.class_latent import ClassLatent
from vae_runner.models.evidence import Level
from vae_runner.models.path import Path

# priors that are the same whatever a model is told
OF_ALL_CONDITIONS = (StandardNormal, GaussianMixture, MixtureOfPosteriors, UniformCodes, UniformOnSphere, Product)
COLLAPSED = 0.01  # nats that a unit says of x, below which it says nothing


def latents(subject: Subject) -> dict[str, Any]:
    """The KL in its parts, in nats, with standard errors over draws, and I(x; z_d) of units.

    Of a ladder: of all levels together, and of each given those above it. Where the way down is told a condition there
    is no one aggregate posterior below the top: then everything is of the top, and `level` says so.
    """
    model = subject.model
    batches = []
    with subject.preserved():
        for batch in subject.batches(most=subject.settings.codes):
            levels = model.infer(batch)
            _require_one_aggregate(levels[-1], model)
            batches.append(levels if model.condition is None else levels[-1:])
        examples = sum(levels[-1].z.shape[1] for levels in batches)
        parts, said = _parts(batches, model)
    whole = functools.reduce(operator.add, parts)
    figures = _figures(whole)
    if len(parts) > 1:
        for number, part in enumerate(parts, 1):
            figures |= {f"level_{number}_{name}": figure for name, figure in _figures(part).items()}
    elif model.levels > 1:
        figures["level"] = model.levels
    if isinstance(model, ClassLatent):
        figures["given"] = "the likeliest class of each example: the KL of the class is not in these"
    share = None if said is None else float((said < COLLAPSED).double().mean())
    return {
        **figures,
        "mutual_information_at_most": math.log(examples),
        "collapsed_share": share,
        "draws": len(whole.mutual_information),
        "examples": examples,
    }


def _require_one_aggregate(top: Level, model: Any) -> None:
    """Raises Inapplicable where the posteriors have none, or none that could be held against a prior."""
    if isinstance(top.q, Path):
        raise Inapplicable("the latents of a step follow from draws of those before: q(z|x) has no one density")
    if not top.has_density:
        raise Inapplicable("codes without noise have no density, and so no aggregate posterior")
    if not isinstance(top.q, (*units.KNOWN, Code)):
        raise Inapplicable("the density of q(z|x) is known at its own draws alone, not at those of other examples")
    if model.condition is not None and not isinstance(top.p, OF_ALL_CONDITIONS):
        raise Inapplicable("the prior depends on the condition: there is no one aggregate posterior")


def _parts(batches: list[list[Level]], model: Any) -> tuple[list[Decomposition], Tensor | None]:
    """Those of each level, the one next to x first; and what each unit of all of them says of x, at most.

    Of a unit below the top this is its KL given what is above, which is no less than I(x; z_d|z_>). That itself comes
    to nothing for another reason too: a top that tells the N examples apart leaves nothing to tell.
    """
    if isinstance(batches[0][-1].q, Code):
        tops = [levels[-1] for levels in batches]
        indices = model.posterior.indices_of(torch.cat([top.z[0] for top in tops]))
        of_codes = decompose_codes(indices, torch.cat([top.log_p[0] for top in tops]))
        return [of_codes], of_codes.units.information if of_codes.units else None
    parts = decompose(rungs_of(batches))
    top = parts[0].units
    below = [_divergences([*levels]) for levels in zip(*(levels[:-1] for levels in batches), strict=True)]
    return parts[::-1], torch.cat([*below, top.information]) if top else None


def _divergences(levels: Sequence[Level]) -> Tensor:
    """KL(q(z_d|z_>, x) || p(z_d|z_>)) of each number of a level below the top, a mean over examples."""
    q, p = (_flat(units.together([getattr(level, name) for level in levels])) for name in ("q", "p"))
    kl = q.kl_units(p)
    assert kl is not None
    return kl.double().mean(0)


def _flat(q: DiagonalGaussian) -> DiagonalGaussian:
    """With a unit for each position."""
    return DiagonalGaussian(q.mean.flatten(1), q.log_variance.flatten(1))


def _figures(parts: Decomposition) -> dict[str, Any]:
    found: dict[str, Estimate | None] = {
        "mutual_information": parts.mutual_information,
        "aggregate_kl": parts.divergence,
        "total_correlation": parts.units.total_correlation if parts.units else None,
    }
    figures: dict[str, Any] = {}
    for name, estimate in found.items():
        figures[name] = estimate and estimate.mean
        figures[f"{name}_standard_error"] = estimate and estimate.standard_error
    return figures | {"unit_information": parts.units.information.tolist() if parts.units else None}
