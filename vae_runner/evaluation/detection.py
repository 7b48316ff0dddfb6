"""How well a score tells positives from negatives, whatever threshold is chosen.

    AUC = P(s > s') + P(s = s') / 2,   s of a positive, s' of a negative      (Hanley and McNeil 1982)
    average precision = sum_n (R_n - R_n-1) P_n, over thresholds              (scikit-learn's)

Chance is 1/2 for the AUC, and the share of positives for the average precision. Standard errors are over examples of
both kinds, whose numbers count as given.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, finite
from vae_runner.evaluation.standard_errors import Figures, Rows, of_groups, partitions


@dataclass(frozen=True)
class Area:
    """Under a curve. standard_error: None where examples are too few for one."""

    value: float
    standard_error: float | None


def auc(scores: Tensor, positive: Tensor) -> Area:
    """The area under the receiver operating characteristic of scores (N,), higher for `positive` (N,), bool.

    With the standard error of DeLong et al. (1988).

    Raises UserError where fewer than two examples are positive, or negative, or a score is not finite.
    """
    above, below = _parted(scores, positive)
    of_positives, of_negatives = _share_beaten(above, below), 1 - _share_beaten(below, above)
    variance = of_positives.var() / len(above) + of_negatives.var() / len(below)
    return Area(float(of_positives.mean()), math.sqrt(float(variance)))


def average_precision(scores: Tensor, positive: Tensor) -> Area:
    """The mean precision over the recalls of scores (N,), higher for `positive` (N,), bool.

    With the standard error by random halves, each with half of both kinds. Raises UserError as `auc` does.
    """
    from sklearn.metrics import average_precision_score

    above, below = _parted(scores, positive)
    values = torch.cat([above, below]).cpu()
    told = torch.arange(len(values)) < len(above)

    def figure(rows: Rows) -> Figures:
        return {"area": float(average_precision_score(told[rows].numpy(), values[rows].numpy()))}

    area = figure(torch.arange(len(values)))["area"]
    assert area is not None
    return Area(area, of_groups(figure, partitions(len(above), len(below)))["area"])


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
