import numpy as np
import pytest

from tests.evaluation.disentanglement.planted import changed, grid, mixed, noise
from vae_runner.evaluation.disentanglement.explicitness import explicitness_score

FACTORS = grid(4, 2, copies=250)


def test_the_factors_themselves_are_explicit_where_a_line_tells_their_values():
    # two values: 1. Four values in a row: 1 at both ends; at one between them a line has the examples of one side above
    # it and of the other below, so 2/3 of the others at most. (1 + 2/3 + 2/3 + 1) / 4 = 5/6, with an error of 0.01
    assert explicitness_score(FACTORS, FACTORS[:, 1:]) == 1
    assert explicitness_score(FACTORS, FACTORS) == pytest.approx((5 / 6 + 1) / 2, abs=0.02)


def test_a_unit_for_every_value_is_explicit():
    assert explicitness_score(np.eye(4)[FACTORS[:, 0]], FACTORS[:, :1]) == 1


def test_noise_is_at_chance():
    # 1/2. An area of 125 examples of a value against the rest errs by 0.03, of 250 against 250 by 0.026; the mean of
    # the two factors by 0.016
    assert explicitness_score(noise(2000, 5), FACTORS) == pytest.approx(1 / 2, abs=0.05)


def test_a_factor_without_a_unit_is_at_chance():
    assert explicitness_score(np.eye(4)[FACTORS[:, 0]], FACTORS) == pytest.approx((1 + 1 / 2) / 2, abs=0.03)


@pytest.mark.parametrize("units", [1, 3])
def test_constant_units_order_no_example_before_another(units):
    assert explicitness_score(np.full((2000, units), 0.1), FACTORS) == 1 / 2


def test_a_normal_unit_has_the_area_of_its_separation():
    # values one apart in noise of deviation 1: P(one draw of value 1 > one of value 0) = Phi(1 / sqrt 2) = 0.760,
    # with an error of 0.02
    assert explicitness_score(FACTORS[:, 1:] + noise(2000, 1), FACTORS[:, 1:]) == pytest.approx(0.760, abs=0.05)


def test_values_met_in_one_part_only_are_left_out():
    factors = FACTORS[:, 1:].copy()
    factors[:8, 0] = range(2, 10)  # of one example each
    assert explicitness_score(np.hstack([factors == 0, factors == 1]), factors) == 1


def test_scale_order_and_sign_of_units_do_not_matter():
    # but for the last digits of the optimiser's
    codes = mixed(FACTORS)
    found = explicitness_score(codes, FACTORS)
    assert 1 / 2 < found < 1
    assert explicitness_score(changed(codes) * [1e-3, 1, 1, 1e3], FACTORS) == pytest.approx(found, abs=1e-3)
