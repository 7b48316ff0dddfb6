"""DCI: disentanglement, completeness and informativeness (Eastwood & Williams 2018, section 2).

R_jk >= 0 is the importance of unit j to a classifier of factor k from all units.

    disentanglement  sum_j w_j (1 - H(P_j) / log F),    P_jk = R_jk / sum_k R_jk,   w_j = sum_k R_jk / sum_jk R_jk
    completeness     sum_k w_k (1 - H(Q_k) / log D),    Q_jk = R_jk / sum_j R_jk,   w_k = sum_j R_jk / sum_jk R_jk
    informativeness  the mean over factors of the classifier's accuracy on examples held out

The paper reports an error as informativeness; an accuracy, as in disentanglement_lib (Locatello et al. 2019), is better
the higher. Chance is the mean share of the most frequent values. Importances are the mean decreases in impurity of

    forest    a random forest (as one of the two in the paper; scikit-learn) of 50 trees, all units candidates in every
              split, or units of no use would be split on for want of others; at least 5 examples in a leaf
    boosting  gradient boosting as scikit-learn does it, 100 rounds of trees of depth 3: as the numbers of
              disentanglement_lib, and slow, for every round has a tree for every value
"""

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vae_runner.evaluation.disentanglement.examples import (
    examples_of,
    generator_of,
    require_one_of,
    split,
    state_of,
)
from vae_runner.evaluation.disentanglement.mutual_information import entropy

TREES = 50  # of a forest

Importances = Literal["forest", "boosting"]


class DCI(NamedTuple):
    """From 0 to 1 each; nan where not defined: disentanglement of one factor, completeness of one unit."""

    disentanglement: float
    completeness: float
    informativeness: float


def dci_scores(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    importances: Importances = "forest",
    trees: int = TREES,
    held_out: float = 0.25,
    seed: int = 0,
) -> DCI:
    """The three scores of codes (N, D) and factors (N, F). Where no unit is of importance, the first two are 0.

    trees: of a forest.
    """
    from sklearn.preprocessing import StandardScaler

    generator = generator_of(seed)
    fitted, scored = split(examples_of(codes, factors), held_out, generator)
    scaler = StandardScaler().fit(fitted.codes)  # trees have single precision, too little for some means and scales
    units, others = scaler.transform(fitted.codes), scaler.transform(scored.codes)
    columns, accuracies = [], []
    for values, answers in zip(fitted.factors.T, scored.factors.T, strict=True):
        model = classifier(importances, state_of(generator), trees)
        with warnings.catch_warnings():  # of many values for so few examples, once for each tree
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model.fit(units, values)
        columns.append(model.feature_importances_)
        accuracies.append(model.score(others, answers))
    matrix = np.stack(columns, axis=1)
    return DCI(concentration(matrix), concentration(matrix.T), float(np.mean(accuracies)))


def classifier(importances: Importances, state: int, trees: int = TREES) -> Any:
    """A classifier of scikit-learn that tells how important each unit is."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    require_one_of("importances", importances, ("forest", "boosting"))
    if importances == "boosting":
        return GradientBoostingClassifier(random_state=state)
    return RandomForestClassifier(trees, max_features=None, min_samples_leaf=5, random_state=state)


def concentration(importances: NDArray[np.float64]) -> float:
    """The mean over rows of 1 - H / max H of their shares; rows weigh as their sums. nan of a single column.

    Disentanglement of R (D, F), completeness of its transpose.
    """
    if importances.shape[1] == 1:
        return float("nan")
    weights = importances.sum(1)
    if not weights.any():
        return 0.0
    rows = importances[weights > 0]
    concentrations = [1 - entropy(row) / np.log(len(row)) for row in rows]
    return float(np.average(concentrations, weights=weights[weights > 0]))
