import math

import numpy as np
import pytest

from tests.evaluation.disentanglement.planted import changed, grid, mixed, noise
from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.sap import sap_score

FACTORS = grid(4, 4, copies=100)
RENAMED = np.array([2, 0, 3, 1])[FACTORS]  # the same classes in another order


def test_the_factors_themselves_reach_one_where_they_are_ordinal():
    # R^2 is 1 of the factor's unit, and at most of the order 1/400, examples held out, of the other
    assert sap_score(FACTORS, FACTORS) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("codes", [FACTORS, RENAMED])
def test_the_factors_themselves_reach_one_less_chance_where_they_are_categorical(codes):
    # 1 recognised by the factor's unit, whatever the order of its classes, and by chance 1/4 by the other, with an
    # error of 0.02 of 400 examples
    assert sap_score(codes, FACTORS, categorical=[0, 1]) == pytest.approx(3 / 4, abs=0.05)


def test_an_ordinal_factor_is_told_by_a_line():
    # 2, 0, 3, 1 against 0, 1, 2, 3: covariance 0, by hand (-1.5 * 0.5 - 0.5 * -1.5 + 0.5 * 1.5 + 1.5 * -0.5 = 0)
    assert sap_score(RENAMED, FACTORS) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("categorical", [[], [0, 1]])
def test_noise_has_no_gap(categorical):
    assert sap_score(noise(1600, 5), FACTORS, categorical=categorical) == pytest.approx(0, abs=0.04)


def test_noise_in_a_unit_costs_its_share_of_the_variance():
    # noise of a third of the variance of the factor, 1.25: R^2 = 1 / (1 + 1/3) = 3/4 of one factor, 1 of the other
    codes = FACTORS + [[math.sqrt(1.25 / 3), 0]] * noise(1600, 2)
    assert sap_score(codes, FACTORS) == pytest.approx((3 / 4 + 1) / 2, abs=0.03)


def test_a_second_unit_of_a_factor_closes_the_gap():
    assert sap_score(FACTORS[:, [0, 1, 1]], FACTORS) == pytest.approx(1 / 2, abs=0.02)


def test_columns_are_the_callers():
    factors = np.hstack([np.full((1600, 1), 5), FACTORS[:, :1]])  # column 0 has a single value and is left out
    assert sap_score(RENAMED, factors, categorical=[1]) == pytest.approx(3 / 4, abs=0.05)
    assert sap_score(RENAMED, factors, categorical=[0]) == pytest.approx(0, abs=0.02)


def test_the_gap_of_a_single_unit_is_to_a_constant_one():
    assert sap_score(FACTORS[:, :1], FACTORS[:, :1]) == pytest.approx(1)
    assert sap_score(FACTORS[:, :1], FACTORS[:, :1], categorical=[0]) == pytest.approx(3 / 4)


def test_constant_units_are_no_gap():
    assert sap_score(np.full((1600, 3), 0.1), FACTORS, categorical=[1]) == 0


def test_all_values_of_a_categorical_factor_weigh_alike():
    # value 1 is one of ten examples: a constant answer is right in 9 of 10, and balanced in 1 of 2
    factors = (np.arange(1000) % 10 == 0)[:, None]
    assert sap_score(factors, factors, categorical=[0]) == pytest.approx(1 / 2)


def test_thresholds_weigh_rare_values_as_much_as_frequent_ones():
    # values one apart in noise of deviation 1: the threshold halfway is right in Phi(1/2) = 0.691 of both, a constant
    # answer in 1/2; thresholds that count examples would leave the value that one of ten has aside. 100 of it held out
    # err by 0.03 in their half
    factors = (np.arange(4000) % 10 == 0)[:, None]
    assert sap_score(factors + noise(4000, 1), factors, categorical=[0]) == pytest.approx(0.191, abs=0.05)


def test_examples_that_are_scored_are_not_those_fitted():
    # 20 leaves for some 150 examples of noise recognise many of their own; of others 1/20, with an error of 0.03
    factors = np.arange(200)[:, None] % 20
    assert sap_score(noise(200, 1), factors, categorical=[0]) == pytest.approx(0, abs=0.08)


def test_mean_and_scale_of_units_do_not_matter():
    # far beyond what single precision tells apart
    codes = FACTORS * [1, 1e-40] + [1e9, 0]
    assert sap_score(codes, FACTORS, categorical=[0, 1]) == pytest.approx(3 / 4, abs=0.05)


@pytest.mark.parametrize("categorical", [[], [0, 1]])
def test_order_and_sign_of_units_do_not_matter(categorical):
    codes = mixed(FACTORS)
    expected = sap_score(codes, FACTORS, categorical=categorical)
    assert 0 < expected < 1
    assert sap_score(changed(codes), FACTORS, categorical=categorical) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("column", [2, -1])
def test_a_column_that_is_not_there_is_refused(column):
    with pytest.raises(UserError, match=f"there is no factor {column}; must be below 2"):
        sap_score(FACTORS, FACTORS, categorical=[column])
