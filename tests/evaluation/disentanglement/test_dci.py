import math

import numpy as np
import pytest

from tests.evaluation.disentanglement.planted import changed, grid, mixed, noise
from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.dci import concentration, dci_scores

FACTORS = grid(4, 2, copies=75)


@pytest.mark.parametrize("importances", ["forest", "boosting"])
def test_the_factors_themselves_reach_one(importances):
    assert dci_scores(FACTORS, FACTORS, importances=importances) == pytest.approx((1, 1, 1), abs=0.01)


def test_noise_is_important_to_all_factors_alike_and_tells_of_none():
    # every unit is split on as often, so both entropies are at their greatest; accuracies by chance 1/4 and 1/2, with
    # errors of 0.035 and 0.04 of 150 examples
    found = dci_scores(noise(600, 4), FACTORS)
    assert found[:2] == pytest.approx((0, 0), abs=0.02)
    assert found.informativeness == pytest.approx((1 / 4 + 1 / 2) / 2, abs=0.08)


def test_a_factor_of_two_units_is_disentangled_and_incomplete():
    # the two bits of factor 0 have a unit each, of equal importance: its completeness is 1 - log 2 / log 3, and that of
    # factor 1, with one unit of three, 1
    bits = np.column_stack([FACTORS[:, 0] % 2, FACTORS[:, 0] // 2, FACTORS[:, 1]])
    found = dci_scores(bits, FACTORS)
    expected = (1, (1 - math.log(2) / math.log(3) + 1) / 2, 1)
    assert found == pytest.approx(expected, abs=0.02)


def test_a_unit_of_two_factors_is_complete_and_entangled():
    # all importance to both factors is the first unit's: its entropy is log 2 of log 2; no accuracy is lost
    codes = np.column_stack([2 * FACTORS[:, 0] + FACTORS[:, 1], np.zeros(600)])
    assert dci_scores(codes, FACTORS) == pytest.approx((0, 1, 1), abs=0.01)


def test_a_factor_without_a_unit_costs_information():
    # of factor 1, two values, half is right by chance. Its importances are those of a unit of no use, which the forest
    # may split on or not
    found = dci_scores(np.hstack([FACTORS[:, :1], noise(600, 1)]), FACTORS)
    assert found.informativeness == pytest.approx((1 + 1 / 2) / 2, abs=0.06)


@pytest.mark.parametrize("importances", ["forest", "boosting"])
def test_constant_units_are_of_no_importance(importances):
    # 3/4 of the examples have value 0: a constant answer
    factors = np.column_stack([np.arange(400) % 4 == 0, np.arange(400) // 4 % 4 == 0])
    found = dci_scores(np.full((400, 3), 0.1), factors, importances=importances)
    assert found[:2] == (0, 0)
    assert found.informativeness == pytest.approx(3 / 4, abs=0.1)


def test_a_leaf_is_of_five_examples():
    # value 2 is of four examples in all, so none of its examples held out is recognised
    factors = np.column_stack([np.arange(400) % 2, np.arange(400) // 2 % 2])
    factors[:4, 0] = 2
    assert 1 - 4 / 100 <= 2 * dci_scores(factors, factors).informativeness - 1 < 1


@pytest.mark.filterwarnings("error")
def test_many_values_of_few_examples_are_scored_without_a_word():
    factors = np.column_stack([np.arange(60) % 30, np.arange(60) % 2])
    assert 0 <= dci_scores(noise(60, 2), factors, held_out=0.5).informativeness < 1


def test_mean_and_scale_of_units_do_not_matter():
    # far beyond what single precision tells apart
    assert dci_scores(FACTORS * [1, 1e-40] + [1e9, 0], FACTORS) == pytest.approx((1, 1, 1), abs=0.01)


def test_rows_weigh_as_their_sums():
    # a row of one share has 1, of equal shares 0, of none no weight: (1 * 1 + 6 * 0) / 7
    assert concentration(np.array([[1.0, 0], [3, 3], [0, 0]])) == pytest.approx(1 / 7)
    # -(3/4 log 3/4 + 1/4 log 1/4) / log 2 = 0.811278
    assert concentration(np.array([[3.0, 1]])) == pytest.approx(1 - 0.811278, abs=1e-6)


def test_one_factor_has_no_disentanglement_and_one_unit_no_completeness():
    of_factor = dci_scores(FACTORS, FACTORS[:, :1])
    assert math.isnan(of_factor.disentanglement)
    assert of_factor[1:] == pytest.approx((1, 1), abs=0.01)
    of_unit = dci_scores(2 * FACTORS[:, :1] + FACTORS[:, 1:], FACTORS)
    assert math.isnan(of_unit.completeness)
    assert (of_unit.disentanglement, of_unit.informativeness) == pytest.approx((0, 1), abs=0.01)


def test_order_and_sign_of_units_hardly_matter():
    # trees settle ties between splits by the order of the units
    codes = mixed(FACTORS)
    found = dci_scores(codes, FACTORS)
    assert all(0 < value < 1 for value in found)
    assert dci_scores(changed(codes), FACTORS) == pytest.approx(found, abs=0.03)


def test_a_seed_gives_one_score():
    codes = mixed(FACTORS)
    assert dci_scores(codes, FACTORS, seed=3) == dci_scores(codes, FACTORS, seed=3)
    assert dci_scores(codes, FACTORS, seed=3) != dci_scores(codes, FACTORS, seed=4)


def test_other_importances_are_refused():
    with pytest.raises(UserError, match="importances=lasso: must be one of forest, boosting"):
        dci_scores(FACTORS, FACTORS, importances="lasso")
