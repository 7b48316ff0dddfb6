"""How well a score tells positives from negatives, whatever threshold is chosen.

    AUC = P(s > s') + P(s = s') / 2,   s of a positive, s' of a negative      (Hanley and McNeil 1982)
    average precision = sum_n (R_n - R_n-1) P_n, over thresholds              (scikit-learn's)

Chance is 1/2 for the AUC, and the share of positives for the average precision.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, finite


@dataclass(frozen=True)
class Auc:
    """standard_error: over examples, of both kinds (DeLong et al. 1988)."""

    value: float
    standard_error: float


def auc(scores: Tensor, positive: Tensor) -> Auc:
    """The area under the receiver operating characteristic of scores (N,), higher for `positive` (N,), bool.

    Raises UserError where fewer than two examples are positive, or negative, or a score is not finite.
    """
    above, below = _parted(scores, positive)
    of_positives, of_negatives = _share_beaten(above, below), 1 - _share_beaten(below, above)
    variance = of_positives.var() / len(above) + of_negatives.var() / len(below)
    return Auc(float(of_positives.mean()), math.sqrt(float(variance)))


def average_precision(scores: Tensor, positive: Tensor) -> float:
    """The mean precision over the recalls of scores (N,), higher for `positive` (N,), bool.

    Raises UserError as `auc` does.
    """
    _parted(scores, positive)
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(positive.cpu().numpy(), exact(scores).cpu().numpy()))


def _parted(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    scores = exact(finite(scores, "detection"))
    above, below = scores[positive], scores[~positive]
    if min(len(above), len(below)) < 2:
        raise UserError(f"detection: {len(above)} positive and {len(below)} negative examples; two of each are needed")
    return above, below


def _share_beaten(scores: Tensor, others: Tensor) -> Tensor:
    """For each of scores (N,) the share of others (M,) that lie below it, those at it counting half, (N,)."""
    ordered = others.sort().values
    below, up_to = (torch.searchsorted(ordered, scores, right=right) for right in (False, True))
    return (below + up_to).double() / (2 * len(others))
