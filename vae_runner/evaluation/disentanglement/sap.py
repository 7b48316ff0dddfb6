"""The SAP score, separated attribute predictability: how much better the best unit predicts a factor than the second.

    SAP = 1/F sum_k (S_j(k)k - max_{j != j(k)} S_jk),    j(k) = argmax_j S_jk

Kumar et al. 2018, section 3. S_jk is of unit j alone, fitted on some examples and taken on those held out:

    ordinal factors      R^2 of the linear regression of v_k on z_j, 0 where it is negative
    categorical factors  the mean over values of the share recognised (balanced accuracy) by thresholds on z_j: a
                         decision tree of at most as many leaves as the factor has values, all values weighing alike

Chance is R^2 = 0 and an accuracy of 1 / values, so a categorical factor of K values adds at most 1 - 1/K.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.examples import examples_of, generator_of, split, with_silent_unit


def sap_score(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    categorical: Collection[int] = (),
    held_out: float = 0.25,
    seed: int = 0,
) -> float:
    """The mean gap, from 0 to 1, of codes (N, D) and factors (N, F).

    categorical: columns of `factors` whose values have no order; the others are ordinal, and their values count as
    they are. Of a single unit the gap is to a constant one.
    """
    examples = examples_of(codes, factors)
    columns = np.asarray(factors).shape[1]
    for column in categorical:
        if column not in range(columns):
            raise UserError(f"categorical={list(categorical)}: there is no factor {column}; must be below {columns}")
    fitted, scored = split(examples, held_out, generator_of(seed))
    units = list(zip(with_silent_unit(fitted.codes).T, with_silent_unit(scored.codes).T, strict=True))
    gaps = []
    for known, answers, column in zip(fitted.factors.T, scored.factors.T, examples.columns, strict=True):
        predict = recognised if column in categorical else explained
        *_, second, best = sorted(predict(unit[:, None], known, other[:, None], answers) for unit, other in units)
        gaps.append(best - second)
    return float(np.mean(gaps))


def explained(unit: NDArray[Any], known: NDArray[Any], other: NDArray[Any], answers: NDArray[Any]) -> float:
    """R^2 of the line through codes `unit` (N, 1) and values `known` (N,), at the codes and values held out."""
    from sklearn.linear_model import LinearRegression

    return max(0.0, float(LinearRegression().fit(unit, known).score(other, answers)))


def recognised(unit: NDArray[Any], known: NDArray[Any], other: NDArray[Any], answers: NDArray[Any]) -> float:
    """Balanced accuracy of thresholds on codes `unit` (N, 1) for values `known` (N,), at those held out."""
    from sklearn.metrics import recall_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    # with one unit to split on, nothing is random
    tree = DecisionTreeClassifier(max_leaf_nodes=len(np.unique(known)), class_weight="balanced", random_state=0)
    # scaled, for trees have single precision
    guesses = make_pipeline(StandardScaler(), tree).fit(unit, known).predict(other)
    return float(recall_score(answers, guesses, labels=np.unique(answers), average="macro", zero_division=0))
