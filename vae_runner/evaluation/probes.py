"""What representations are good for: what simple readers make of codes, and whether codes fall into the classes.

    linear_probe   accuracy of logistic regression             (Alain & Bengio 2017)
    knn_probe      accuracy of a vote of the k nearest codes
    ridge_probe    R^2 of ridge regression, for real-valued targets, such as factors
    clusters       k-means with as many clusters as classes: adjusted Rand index (Hubert & Arabie 1985), normalised
                   mutual information, silhouette (Rousseeuw 1987)

Each is fitted on training codes, its one setting is chosen on validation codes, and what is reported is of the test
codes, with standard errors over these alone: the reader, or the clusters, count as given. Linear readers see
standardised codes. Neighbours and clusters see them as they are: units that the encoder does not use vary little, and
standardising would make them count like the others. Labels of -1 are hidden and left out. All on the CPU, by
scikit-learn.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import finite, vectors
from vae_runner.evaluation.standard_errors import Figures, Rows, of_groups, partitions

STRENGTHS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0)  # of the regularisation
SAME = 1e-6  # of R^2: the weaker of two strengths must gain more than this
NEIGHBOURS = (1, 3, 5, 11, 21, 51)  # odd ones, so that two classes do not tie
ITERATIONS = 300  # of logistic regression: what is not converged by then still counts as it is
RESTARTS = 10
SILHOUETTES = 2000  # examples: its cost is their square


class Coded(NamedTuple):
    """codes (N, ...), flattened; targets: classes (N,), or real values (N,) or (N, F)."""

    codes: Tensor
    targets: Tensor


@dataclass
class Probe:
    """score: on the test codes. validation: of the chosen setting. chosen: that setting.

    chance: score of a reader that sees no codes: of the most frequent class, or of the mean. examples: test codes.
    terms: whether the class of each test code is told, (N,): the score is their mean.
    """

    score: float
    validation: float
    chosen: float
    chance: float
    examples: int
    terms: Tensor = field(compare=False, repr=False)


@dataclass
class Regression(Probe):
    """score and validation: means over targets. by_target: R^2 of each (F,), None where one does not vary.

    terms: (N, F), 0 on average, by which R^2 changes to first order where a test code has more weight than the others.
    """

    by_target: tuple[float | None, ...]


@dataclass
class Clusters:
    """adjusted_rand: 1 for the classes exactly, 0 on average for chance. normalised_information: in [0, 1], arithmetic
    mean of the entropies below. silhouette: in [-1, 1], of the clusters and without labels, None where the test codes
    fall into fewer than two. clusters: how many. standard_errors: of the first three, under their names.
    """

    adjusted_rand: float
    normalised_information: float
    silhouette: float | None
    clusters: int
    standard_errors: Figures


def linear_probe(train: Coded, validation: Coded, test: Coded, *, strengths: Sequence[float] = STRENGTHS) -> Probe:
    """The accuracy of multinomial logistic regression; strengths: of the L2 penalty on standardised codes, per example.

    The penalty is strength / 2 |w|^2 beside the mean cross-entropy, so that a strength means the same for any N.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def reader(strength: float, n: int) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=1 / (strength * n), max_iter=ITERATIONS))

    # the stronger first: of equals, the simpler one
    return _classify(reader, sorted(strengths, reverse=True), train, validation, test)


def knn_probe(train: Coded, validation: Coded, test: Coded, *, neighbours: Sequence[int] = NEIGHBOURS) -> Probe:
    """The accuracy of a vote of the k nearest training codes, k of `neighbours` as far as there are as many codes."""
    from sklearn.neighbors import KNeighborsClassifier

    possible = [k for k in sorted(neighbours) if 1 <= k <= len(_labelled(train, "training")[1])]
    if not possible:
        raise UserError(f"neighbours={tuple(neighbours)}: there are not as many training examples")
    return _classify(lambda k, n: KNeighborsClassifier(int(k)), possible, train, validation, test)


def ridge_probe(train: Coded, validation: Coded, test: Coded, *, strengths: Sequence[float] = STRENGTHS) -> Regression:
    """R^2 of ridge regression onto real-valued targets (N,) or (N, F), mean over those that vary.

    The penalty is strength |w|^2 beside the mean squared error, on standardised codes and targets.
    """
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (x, y), (x_validation, y_validation), (x_test, y_test) = (
        _valued(part, name) for part, name in ((train, "training"), (validation, "validation"), (test, "test"))
    )
    scale = y.std(0)
    scale[scale == 0] = 1
    best: tuple[float, float, Any] | None = None
    for strength in sorted(strengths, reverse=True):
        reader = make_pipeline(StandardScaler(), Ridge(strength * len(x))).fit(x, y / scale)
        score = _mean(_r2(y_validation / scale, reader.predict(x_validation), "validation"))
        if best is None or score > best[0] + SAME:
            best = score, strength, reader
    if best is None:
        raise UserError("strengths: at least one is needed")
    score, strength, reader = best
    by_target = _r2(y_test / scale, reader.predict(x_test), "test")
    of_mean = _r2(y_test, np.broadcast_to(y.mean(0), y_test.shape), "test")
    terms = torch.from_numpy(_r2_terms(y_test / scale, reader.predict(x_test)))
    return Regression(_mean(by_target), score, strength, _mean(of_mean), len(y_test), terms, by_target)


def clusters(train: Coded, validation: Coded, test: Coded, *, restarts: int = RESTARTS, seed: int = 0) -> Clusters:
    """k-means with as many clusters as the training labels have classes, from `seed`.

    Of `restarts` solutions the one with the least squared distance on the validation codes is taken: no label chooses.
    The silhouette is that of at most 2,000 test codes.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    (x, y), (x_validation, _), (x_test, y_test) = (
        _labelled(part, name) for part, name in ((train, "training"), (validation, "validation"), (test, "test"))
    )
    count = len(np.unique(y))
    solutions = [KMeans(count, n_init=1, random_state=seed + i) for i in range(restarts)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fewer distinct codes than clusters: collapsed codes are a finding
        chosen = max((solution.fit(x) for solution in solutions), key=lambda solution: solution.score(x_validation))
    found = chosen.predict(x_test)
    shown = np.random.default_rng(seed).permutation(len(x_test))[:SILHOUETTES]

    told_apart, of_clusters = x_test[shown], found[shown]

    def agreement(rows: Rows) -> Figures:
        if len(rows) < 2:  # which agrees with anything
            return {"adjusted_rand": None, "normalised_information": None}
        told, answers = found[rows.numpy()], y_test[rows.numpy()]
        information = normalized_mutual_info_score(answers, told)
        return {"adjusted_rand": adjusted_rand_score(answers, told), "normalised_information": information}

    def silhouette(rows: Rows) -> Figures:
        return {"silhouette": _silhouette(told_apart[rows.numpy()], of_clusters[rows.numpy()])}

    return Clusters(
        adjusted_rand=float(adjusted_rand_score(y_test, found)),
        normalised_information=float(normalized_mutual_info_score(y_test, found)),
        silhouette=_silhouette(told_apart, of_clusters),
        clusters=count,
        standard_errors={
            **of_groups(agreement, partitions(len(x_test))),
            **of_groups(silhouette, partitions(len(shown))),
        },
    )


def _silhouette(x: np.ndarray, labels: np.ndarray) -> float | None:
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(x, labels)) if 2 <= len(np.unique(labels)) < len(x) else None


def _classify(
    reader: Callable[[float, int], Any], settings: Sequence[float], train: Coded, validation: Coded, test: Coded
) -> Probe:
    (x, y), (x_validation, y_validation), (x_test, y_test) = (
        _labelled(part, name) for part, name in ((train, "training"), (validation, "validation"), (test, "test"))
    )
    values, counts = np.unique(y, return_counts=True)
    if len(values) < 2:
        raise UserError("training labels: all are of one class, and there is nothing to tell apart")
    best: tuple[float, float, Any] | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations that were not enough
        for setting in settings:
            fitted = reader(setting, len(x)).fit(x, y)
            score = float(fitted.score(x_validation, y_validation))
            if best is None or score > best[0]:
                best = score, setting, fitted
    if best is None:
        raise UserError("strengths: at least one is needed")
    score, setting, fitted = best
    chance = float(np.mean(y_test == values[counts.argmax()]))
    right = torch.from_numpy(fitted.predict(x_test) == y_test).double()
    return Probe(float(right.mean()), score, float(setting), chance, len(y_test), right)


def _codes(part: Coded, name: str) -> np.ndarray:
    if len(part.codes) != len(part.targets):
        raise UserError(f"{name} examples: {len(part.codes)} codes and {len(part.targets)} targets")
    return vectors(part.codes, f"{name} codes").detach().double().cpu().numpy()


def _labelled(part: Coded, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The codes (N, D) and the classes (N,) of those examples whose class is known."""
    if part.targets.dim() != 1 or part.targets.is_floating_point():
        raise UserError(f"{name} labels: classes (N,) are integers; for real values there is the ridge probe")
    codes, labels = _codes(part, name), part.targets.cpu().numpy()
    known = labels >= 0
    if not known.any():
        raise UserError(f"{name} labels: all are hidden")
    return codes[known], labels[known]


def _valued(part: Coded, name: str) -> tuple[np.ndarray, np.ndarray]:
    codes = _codes(part, name)
    targets = finite(part.targets, f"{name} targets").double().cpu()
    return codes, (targets[:, None] if targets.dim() == 1 else targets).numpy()


def _r2(truth: np.ndarray, guess: np.ndarray, name: str) -> tuple[float | None, ...]:
    """R^2 of each column of the truth (N, F); None where it does not vary."""
    left = np.square(truth - guess.reshape(truth.shape)).sum(0)
    spread = np.square(truth - truth.mean(0)).sum(0)
    if not (spread > 0).any():
        raise UserError(f"{name} targets: none of them varies, and R^2 says how much of the variance is explained")
    return tuple(float(1 - a / b) if b > 0 else None for a, b in zip(left, spread, strict=True))


def _r2_terms(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Of R^2 = 1 - a / b, the terms -(e^2 - (a / b) d^2) / b, (N, F); not finite where the truth does not vary.

    e is the error, d the distance from the mean, a and b are the means of their squares.
    """
    errors, distances = np.square(truth - guess.reshape(truth.shape)), np.square(truth - truth.mean(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(errors - errors.mean(0) / distances.mean(0) * distances) / distances.mean(0)


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))
