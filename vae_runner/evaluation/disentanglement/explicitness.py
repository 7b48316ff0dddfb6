"""Explicitness: how well a linear classifier of all units tells every value of every factor (Ridgeway & Mozer 2018, 3).

    1/F sum_k 1/K_k sum_v AUC(v_k = v)

AUC is the area under the ROC curve of a logistic regression of "the factor has this value" against all other values
(scikit-learn, L2 penalty of weight 1, units scaled to unit variance), fitted on some examples and taken on those held
out. Chance is 0.5. The classifiers are one against the rest, so a unit that equals an ordinal factor of many values is
not explicit: no line separates a middle value from those on both its sides. The paper takes the mean over all pairs of
factor and value; here every factor counts alike, as in disentanglement_lib (Locatello et al. 2019).
"""

import numpy as np
from numpy.typing import ArrayLike

from vae_runner.evaluation.disentanglement.examples import examples_of, generator_of, split


def explicitness_score(codes: ArrayLike, factors: ArrayLike, *, held_out: float = 0.25, seed: int = 0) -> float:
    """The mean area under the ROC curve, 0.5 by chance and at most 1, of codes (N, D) and factors (N, F).

    Values met in one of the two parts only are left out: there is nothing to fit, or nothing to score.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import StandardScaler

    fitted, scored = split(examples_of(codes, factors), held_out, generator_of(seed))
    scaler = StandardScaler().fit(fitted.codes)
    units, others = scaler.transform(fitted.codes), scaler.transform(scored.codes)
    areas = []
    for known, answers in zip(fitted.factors.T, scored.factors.T, strict=True):
        of_values = []
        for value in np.intersect1d(known, answers):
            classifier = LogisticRegression(max_iter=1000).fit(units, known == value)
            of_values.append(roc_auc_score(answers == value, classifier.decision_function(others)))
        areas.append(np.mean(of_values))
    return float(np.mean(areas))
