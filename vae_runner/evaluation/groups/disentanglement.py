"""Whether units and known factors of variation are one to one, for data that has factors."""

from typing import Any

from vae_runner.evaluation.disentanglement import scores
from vae_runner.evaluation.groups.subject import Inapplicable, Subject, said

EXAMPLES = 10_000
BINS = 20


def disentanglement(subject: Subject) -> dict[str, Any]:
    """Scores of the means of q(z|x), by the conventions of `vae_runner.evaluation.disentanglement`."""
    if not subject.space.factors:
        raise Inapplicable("the data has no known factors")
    codes, factors = subject.codes(most=EXAMPLES)
    if factors is None or factors.is_floating_point():
        raise Inapplicable("the factors are not whole numbers")
    found = said(lambda: scores(codes, factors, bins=BINS, seed=subject.seed))
    return {**found, "bins": BINS, "examples": len(codes)}
