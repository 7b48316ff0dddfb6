import math

import numpy as np
import pytest

from tests.evaluation.disentanglement.planted import changed, grid, mixed, noise
from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.factor_vae import factor_vae_score

FACTORS = grid(3, 3, 3, 3, copies=20)
CONSTANT = np.full((len(FACTORS), 1), 0.1)


def score(codes, factors=FACTORS, **options):
    return factor_vae_score(codes, factors, **{"batches": 600, **options})


def test_the_factors_themselves_reach_one():
    # the unit of the factor that is fixed does not vary at all
    assert score(FACTORS) == 1


def test_noise_is_at_chance():
    # votes do not depend on the factor fixed: 1/4. Mini-batches of one set go together, so more than their binomial
    # error of 0.018 is allowed.
    assert score(noise(len(FACTORS), 5)) == pytest.approx(1 / 4, abs=0.06)


def test_votes_that_are_scored_are_not_those_that_answer():
    # of 200 units most have one vote or none, and would be right of their own
    assert score(noise(len(FACTORS), 200), batches=200) == pytest.approx(1 / 4, abs=0.1)


def test_factors_that_no_unit_tells_are_lost():
    # units of factors 0 and 1 alone. Where 2 or 3 is fixed, either unit may win, but most votes for unit 0 are of
    # factor 0 (1/4 against 1/8), for unit 1 of factor 1: right where 0 or 1 is fixed, never else.
    assert score(FACTORS[:, :2]) == 1 / 2


def test_a_single_unit_has_one_answer():
    assert score(FACTORS[:, :1]) == 1 / 4


def test_several_units_of_a_factor_are_no_loss():
    assert score(np.hstack([FACTORS, FACTORS * 2, FACTORS[:, ::-1] ** 2])) == 1


def test_units_count_by_their_variance_over_all_examples():
    # units of factors 0 and 1 in noise of 1/4 of their variance, where fixed; a unit of noise of a 100th of their scale
    # varies least in every mini-batch, but not less than usual
    units = FACTORS[:, :2] + math.sqrt(2 / 3) / 2 * noise(len(FACTORS), 2)
    codes = np.hstack([units * 100, noise(len(FACTORS), 1, seed=3)])
    assert score(codes, FACTORS[:, :2]) == 1


@pytest.mark.parametrize("active", [0, 0.01])
def test_constant_units_are_left_out(active):
    assert score(np.hstack([CONSTANT, FACTORS, CONSTANT * 0]), active=active) == 1


def test_units_of_little_variance_are_left_out():
    # factor 3 has a unit of variance 2/3 * 1e-6. Left out: 3/4, with derivation as for two factors above
    codes = FACTORS * [1, 1, 1, 1e-3]
    assert score(codes) == 3 / 4
    assert score(codes, active=0) == 1


@pytest.mark.parametrize("active", [0, 0.01])
def test_with_no_unit_active_the_answer_is_constant(active):
    assert score(CONSTANT, active=active) == 1 / 4


def test_order_and_sign_of_units_do_not_matter():
    codes = mixed(FACTORS)
    assert 1 / 4 < score(codes) < 1
    assert score(changed(codes)) == score(codes)


def test_a_seed_gives_one_score():
    codes = noise(len(FACTORS), 5)
    assert score(codes, seed=3) == score(codes, seed=3)
    assert score(codes, seed=3) != score(codes, seed=4)


def test_one_factor_has_no_score():
    assert math.isnan(score(FACTORS, FACTORS[:, :1]))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch": 1}, "batch=1: must be 2 or more"),
        ({"batches": 3}, "batches=3: must be 4 or more"),
        ({"active": -1}, "active=-1: must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(UserError, match=message):
        score(FACTORS, **setting)
