"""What the codes say of the examples, and how far together they are from the prior."""

from typing import Any

import torch

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.distributions.priors.mixture import GaussianMixture
from vae_runner.distributions.priors.vamp import MixtureOfPosteriors
from vae_runner.evaluation.aggregate_posterior import decompose
from vae_runner.evaluation.groups.subject import Inapplicable, Subject
from vae_runner.models.path import Path

OF_ALL_CONDITIONS = (StandardNormal, GaussianMixture, MixtureOfPosteriors)  # priors, whatever a model is told
COLLAPSED = 0.01  # mutual information with x, in nats, below which a unit says nothing


def latents(subject: Subject) -> dict[str, Any]:
    """The KL of the top level in its parts, in nats, with standard errors over draws; units by I(x; z_d), undrawn.

    `level` is which one it is of a ladder.
    """
    found, prior = [], None
    with subject.preserved():
        for batch in subject.batches(most=subject.settings.codes):
            top = subject.model.infer(batch)[-1]
            if isinstance(top.q, Path):
                raise Inapplicable("the latents of a step follow from draws of those before: q(z|x) has no one density")
            if not isinstance(top.q, DiagonalGaussian):
                raise Inapplicable("the aggregate posterior is taken apart for Gaussian posteriors only")
            if subject.model.condition is not None and not isinstance(top.p, OF_ALL_CONDITIONS):
                raise Inapplicable("the prior depends on the condition: there is no one aggregate posterior")
            found.append(top.q)
            prior = top.p
        q = DiagonalGaussian(*(torch.cat([getattr(q, part) for q in found]) for part in ("mean", "log_variance")))
        parts = decompose(q, prior)
    units = parts.unit_information
    return {
        "mutual_information": parts.mutual_information.mean,
        "mutual_information_standard_error": parts.mutual_information.standard_error,
        "aggregate_kl": parts.divergence.mean,
        "aggregate_kl_standard_error": parts.divergence.standard_error,
        "total_correlation": parts.total_correlation.mean,
        "total_correlation_standard_error": parts.total_correlation.standard_error,
        "collapsed_share": float((units < COLLAPSED).float().mean()),
        "unit_information": units.tolist(),
        **({"level": subject.model.levels} if subject.model.levels > 1 else {}),
        "draws": parts.draws,
        "examples": parts.examples,
    }
