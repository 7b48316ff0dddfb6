"""The area under the ROC curve and the average precision of scores."""

import math

import pytest
import torch

from tests.evaluation.spread import against_spread, seeded
from vae_runner.errors import UserError
from vae_runner.evaluation.detection import auc, average_precision


def drawn(shift: float, positives: int = 4000, negatives: int = 6000):
    torch.manual_seed(0)
    scores = torch.cat([torch.randn(positives) + shift, torch.randn(negatives)])
    return scores, torch.arange(positives + negatives) < positives


def test_the_area_is_the_share_of_pairs_in_order_and_ties_count_half():
    # of six pairs (positive, negative) four are in order and one is a tie
    scores = torch.tensor([3.0, 1.0, 2.0, 1.0, 0.0])
    positive = torch.tensor([True, True, False, False, False])
    assert auc(scores, positive).value == pytest.approx(4.5 / 6)


@pytest.mark.parametrize(("order", "area"), [(1.0, 1.0), (-1.0, 0.0), (0.0, 0.5)])
def test_scores_in_order_in_reverse_and_all_alike(order, area):
    scores, positive = order * torch.arange(10.0), torch.arange(10) >= 6
    assert auc(scores, positive).value == area


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_area_of_two_gaussians_is_the_one_in_closed_form(shift):
    # P(s > s') with s - s' ~ N(shift, 2)
    exact = 0.5 * (1 + math.erf(shift / 2))
    found = auc(*drawn(shift))
    assert 0 < found.standard_error < 0.01
    assert abs(found.value - exact) < 3 * found.standard_error


def test_the_standard_error_of_the_average_precision_is_the_spread_over_samples():
    positive = torch.arange(300) < 40

    def figures(scores):
        found = average_precision(scores, positive)
        return found.value, found.standard_error

    ratio = against_spread(lambda seed: torch.randn(300, generator=seeded(seed)) + positive, figures, sets=60)
    assert ratio == pytest.approx(1, abs=0.25)


def test_the_standard_error_is_the_spread_over_samples():
    torch.manual_seed(1)
    positive = torch.arange(100) < 40
    found = [auc(torch.randn(100) + positive, positive) for _ in range(400)]
    spread = torch.tensor([area.value for area in found]).std()
    mean = sum(area.standard_error for area in found) / len(found)
    assert mean == pytest.approx(float(spread), rel=0.15)


def test_both_figures_are_those_of_scikit_learn_with_ties():
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, positive = drawn(0.7, 300, 500)
    scores = (scores * 4).round()
    assert auc(scores, positive).value == pytest.approx(roc_auc_score(positive, scores), rel=1e-12)
    assert average_precision(scores, positive).value == pytest.approx(
        average_precision_score(positive, scores), rel=1e-12
    )


def test_scores_that_say_nothing_have_the_share_of_positives_as_precision():
    assert average_precision(torch.zeros(10), torch.arange(10) < 3).value == pytest.approx(0.3)


@pytest.mark.parametrize("positives", [0, 1, 9, 10])
def test_fewer_than_two_of_a_kind_are_refused(positives):
    for figure in (auc, average_precision):
        with pytest.raises(UserError, match=f"{positives} positive and {10 - positives} negative examples; two of"):
            figure(torch.arange(10.0), torch.arange(10) < positives)


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(UserError, match="NaN or infinite"):
        auc(torch.tensor([math.nan, 1.0, 2.0, 3.0]), torch.tensor([True, True, False, False]))
