"""What the codes say of the examples, and how far together they are from the prior."""

from typing import Any

import torch

from vae_runner.distributions.codes import UniformCodes
from vae_runner.distributions.diagonal_gaussian import StandardNormal
from vae_runner.distributions.posteriors.joint import Product
from vae_runner.distributions.posteriors.quantized import Code
from vae_runner.distributions.priors.mixture import GaussianMixture
from vae_runner.distributions.priors.vamp import MixtureOfPosteriors
from vae_runner.distributions.von_mises_fisher import UniformOnSphere
from vae_runner.evaluation import units
from vae_runner.evaluation.aggregate_posterior import Decomposition, decompose, decompose_codes
from vae_runner.evaluation.groups.subject import Inapplicable, Subject
from vae_runner.models.evidence import Level
from vae_runner.models.path import Path

# priors that are the same whatever a model is told
OF_ALL_CONDITIONS = (StandardNormal, GaussianMixture, MixtureOfPosteriors, UniformCodes, UniformOnSphere, Product)
COLLAPSED = 0.01  # mutual information with x, in nats, below which a unit says nothing


def latents(subject: Subject) -> dict[str, Any]:
    """The KL of the top level in its parts, in nats, with standard errors over draws; units by I(x; z_d), undrawn.

    `level` is which one it is of a ladder.
    """
    tops = []
    with subject.preserved():
        for batch in subject.batches(most=subject.settings.codes):
            tops.append(subject.model.infer(batch)[-1])
            _require_one_aggregate(tops[-1], subject.model)
        parts = _parts(tops, subject.model)
    found = {
        "mutual_information": parts.mutual_information,
        "aggregate_kl": parts.divergence,
        "total_correlation": parts.total_correlation,
    }
    figures: dict[str, Any] = {}
    for name, estimate in found.items():
        figures[name] = None if estimate is None else estimate.mean
        figures[f"{name}_standard_error"] = None if estimate is None else estimate.standard_error
    of_units = parts.unit_information
    return {
        **figures,
        "collapsed_share": None if of_units is None else float((of_units < COLLAPSED).double().mean()),
        "unit_information": None if of_units is None else of_units.tolist(),
        **({"level": subject.model.levels} if subject.model.levels > 1 else {}),
        "draws": parts.draws,
        "examples": parts.examples,
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


def _parts(tops: list[Level], model: Any) -> Decomposition:
    if isinstance(tops[0].q, Code):
        indices = torch.cat([model.posterior.indices_of(top.z[0]) for top in tops])
        return decompose_codes(indices, torch.cat([top.log_p[0] for top in tops]))
    return decompose(units.together([top.q for top in tops]), tops[-1].p)
