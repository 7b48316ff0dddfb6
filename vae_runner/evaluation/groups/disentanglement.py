"""Whether units and known factors of variation are one to one, for data that has factors."""

from typing import Any

from vae_runner.evaluation.disentanglement import scores
from vae_runner.evaluation.disentanglement.uncertainty import standard_errors
from vae_runner.evaluation.groups.subject import Inapplicable, Subject, said
from vae_runner.evaluation.standard_errors import beside

HELD_OUT = 0.25  # share of the examples that what is fitted is scored on
BATCH, BATCHES = 64, 5000  # of examples that share a factor, and how many are drawn, of factor_vae and beta_vae


def disentanglement(subject: Subject) -> dict[str, Any]:
    """Scores of the means of q(z|x), by the conventions of `vae_runner.evaluation.disentanglement`.

    Standard errors are over examples; None where these are too few to be cut into groups.
    """
    if not subject.space.factors:
        raise Inapplicable("the data has no known factors")
    if subject.space.real_factors:
        raise Inapplicable("the targets are real-valued: these scores are of factors in whole numbers")
    settings = subject.settings
    codes, factors = subject.codes(most=settings.scored)
    assert factors is not None
    categorical = subject.space.categorical_factors
    how: dict[str, Any] = {"bins": settings.bins, "held_out": HELD_OUT, "batch": BATCH, "batches": BATCHES}
    of_all: dict[str, Any] = {"seed": subject.seed, "categorical": categorical, **how}
    found = said(lambda: scores(codes, factors, **of_all))
    errors = dict.fromkeys(found) | standard_errors(codes, factors, **of_all)
    return {**beside(found, errors), **how, "examples": len(codes)}
