"""The beta-VAE score: which factor is fixed, by a linear classifier of mean differences (Higgins et al. 2017, 3).

One point is the mean over `batch` pairs of examples of |z - z'|, (D,), the two examples of a pair sharing the value of
factor k. The score is the accuracy in k of a linear classifier, fitted on points of some examples and scored on points
of those held out: a logistic regression (scikit-learn, L2 penalty of weight 1) of the points scaled to unit variance.
Chance is 1/F. A code with no unit for one of the factors may still score 1: that factor is fixed where no unit's
difference is small (Kim & Mnih 2018, section 4).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vae_runner.evaluation.disentanglement.examples import Examples, examples_of, generator_of, require, split
from vae_runner.evaluation.disentanglement.shared_values import AT_A_TIME, SharedValues, turns
from vae_runner.settings import Range


def beta_vae_score(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    batch: int = 64,
    batches: int = 5000,
    held_out: float = 0.25,
    seed: int = 0,
) -> float:
    """The accuracy from codes (N, D) of the factor fixed among factors (N, F); nan of one factor.

    batch: pairs to a point. batches: points to fit on, and as many again, from the share `held_out` of the examples, to
    score on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    require("batch", batch, Range(1))
    examples = examples_of(codes, factors)
    require("batches", batches, Range(examples.factors.shape[1]))
    if examples.factors.shape[1] == 1:
        return float("nan")
    generator = generator_of(seed)
    fitted, scored = (points(part, batch, batches, generator) for part in split(examples, held_out, generator))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(*fitted)
    return float(classifier.score(*scored))


def points(
    examples: Examples, batch: int, batches: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean absolute differences (batches, D), and the factor fixed in each, (batches,)."""
    shares = turns(batches, len(examples.columns))
    differences = []
    for values, column, share in zip(examples.factors.T, examples.columns, shares, strict=True):
        rows, partners = SharedValues(values, int(column)).pairs(generator, share, batch)
        for start in range(0, share, AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            differences.append(np.abs(examples.codes[rows[part]] - examples.codes[partners[part]]).mean(1))
    return np.concatenate(differences), np.repeat(np.arange(len(shares)), shares)
