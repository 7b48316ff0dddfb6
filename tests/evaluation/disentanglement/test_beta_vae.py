import math

import numpy as np
import pytest

from tests.evaluation.disentanglement.planted import changed, grid, mixed, noise
from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.beta_vae import beta_vae_score

FACTORS = grid(3, 3, 3, 3, copies=20)


def score(codes, factors=FACTORS, **options):
    return beta_vae_score(codes, factors, **{"batches": 600, **options})


def test_the_factors_themselves_reach_one():
    # the difference is 0 at the unit of the factor that is fixed, and at no other
    assert score(FACTORS) == 1


def test_noise_is_at_chance():
    # differences do not depend on the factor fixed: 1/4, with a binomial error of 0.018 and what points of one set have
    # in common
    assert score(noise(len(FACTORS), 5)) == pytest.approx(1 / 4, abs=0.06)


def test_points_that_are_scored_are_not_those_fitted():
    # in 200 dimensions a plane separates any 100 points
    assert score(noise(len(FACTORS), 200), batches=100) == pytest.approx(1 / 4, abs=0.15)


def test_one_factor_without_a_unit_is_no_loss():
    # it is fixed where no unit's difference is 0, which a line separates too (Kim & Mnih 2018, section 4)
    assert score(FACTORS[:, :3]) == 1


def test_two_factors_without_a_unit_look_alike():
    # right where factors 0 or 1 are fixed, and in one of two where 2 or 3 are: 1/2 + 1/2 * 1/2; binomial error 0.014
    assert score(FACTORS[:, :2]) == pytest.approx(3 / 4, abs=0.05)


@pytest.mark.parametrize("columns", [1, 3])
def test_constant_codes_have_one_answer(columns):
    assert score(np.full((len(FACTORS), columns), 0.1)) == 1 / 4


def test_a_single_pair_tells_less():
    # of a point of one pair, other units are 0 too by chance
    assert score(FACTORS, batch=1) < 0.9


def test_scale_order_and_sign_of_units_do_not_matter():
    # but for the last digits of the optimiser's: of 600 points one or two may change sides
    codes = mixed(FACTORS)
    assert 1 / 4 < score(codes, batch=4) < 1
    other = changed(codes) * [1e-3, 1, 1, 1e3]
    assert score(other, batch=4) == pytest.approx(score(codes, batch=4), abs=0.005)


def test_a_seed_gives_one_score():
    codes = noise(len(FACTORS), 5)
    assert score(codes, seed=3) == score(codes, seed=3)
    assert score(codes, seed=3) != score(codes, seed=4)


def test_one_factor_has_no_score():
    assert math.isnan(score(FACTORS, FACTORS[:, :1]))


@pytest.mark.parametrize(("setting", "low"), [("batch", 1), ("batches", 4)])
def test_settings_out_of_range_are_refused(setting, low):
    with pytest.raises(UserError, match=f"{setting}={low - 1}: must be {low} or more"):
        score(FACTORS, **{setting: low - 1})
