"""Scores of the mutual information of one unit with one factor: the gap (MIG) and modularity.

    MIG         1/F sum_k (I(z_j(k); v_k) - max_{j != j(k)} I(z_j; v_k)) / H(v_k),    j(k) = argmax_j I(z_j; v_k)
    modularity  1/D sum_j (1 - sum_{k != k(j)} I(z_j; v_k)^2 / ((F - 1) I(z_j; v_k(j))^2)),
                                                                                      k(j) = argmax_k I(z_j; v_k)

MIG: Chen et al. 2018, section 4.1, equation 6. Modularity: Ridgeway & Mozer 2018, section 3. All examples count;
nothing is fitted, so nothing is held out. I is that of the frequencies of the code in `bins` of equal width, from the
least to the greatest code of the unit, and of the factor (as in disentanglement_lib; Locatello et al. 2019; the paper
of MIG takes an expectation over q(z|x)). Chance makes it too large by about (bins - 1)(values - 1) / 2N nats of N
examples (Miller 1955): scores compare at one N and one `bins`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vae_runner.evaluation.disentanglement.examples import Examples, examples_of, require, with_silent_unit
from vae_runner.settings import Range

ROUNDING = 1e-12  # nats: below it, I is the rounding error of an I of zero


def mig_score(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20) -> float:
    """The mutual information gap, from 0 to 1, of codes (N, D) and factors (N, F).

    1 where every factor has a unit which tells it all and no other tells any. Of a single unit the gap is to zero.
    """
    examples = examples_of(codes, factors)
    information = mutual_information(examples, bins)
    entropies = np.array([entropy(np.unique(values, return_counts=True)[1]) for values in examples.factors.T])
    second, best = np.sort(with_silent_unit(information.T).T, axis=0)[-2:]
    return float(((best - second) / entropies).mean())


def modularity_score(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20) -> float:
    """The mean over units of how far a unit tells of one factor only, from 0 to 1; nan of one factor.

    1 where no unit tells of two factors, 0 where every unit tells as much of all. The definition is 0/0 at a unit that
    tells of none, which counts as 0 (as in disentanglement_lib). It does not ask how much a unit tells: units of noise
    are between 0 and 1, for the information which they have by chance is not the same for all factors.
    """
    examples = examples_of(codes, factors)
    information = mutual_information(examples, bins)
    if information.shape[1] == 1:
        return float("nan")
    shares = np.square(information)
    best = shares.max(1)
    told = best > 0
    others = (shares.sum(1) - best)[told] / best[told] / (information.shape[1] - 1)
    return float((1 - others).sum() / len(information))


def mutual_information(examples: Examples, bins: int) -> NDArray[np.float64]:
    """I(z_j; v_k) = H(z_j) + H(v_k) - H(z_j, v_k) of the discretised codes, (D, F), in nats."""
    require("bins", bins, Range(2))
    information = np.zeros((examples.codes.shape[1], examples.factors.shape[1]))
    classes = [np.unique(values, return_inverse=True) for values in examples.factors.T]
    for j, unit in enumerate(examples.codes.T):
        places = discretise(unit, bins)
        for k, (values, labels) in enumerate(classes):
            joint = np.bincount(places * len(values) + labels, minlength=bins * len(values)).reshape(bins, -1)
            information[j, k] = entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel())
    return np.where(information > ROUNDING, information, 0.0)


def discretise(unit: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin of each code of one unit (N,), from 0: half-open, but for the last. A constant unit is in one bin."""
    edges = np.linspace(unit.min(), unit.max(), bins + 1)
    return np.searchsorted(edges[1:-1], unit, side="right")


def entropy(counts: NDArray[Any]) -> float:
    """-sum p log p of the shares of some counts or weights, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
