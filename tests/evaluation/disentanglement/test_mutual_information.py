"""On a grid of all combinations of the factors every frequency is exact, and so are the scores."""

import math

import numpy as np
import pytest
from scipy.stats import entropy as entropy_of
from sklearn.metrics import mutual_info_score

from tests.evaluation.disentanglement.planted import changed, grid, mixed, noise
from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.examples import examples_of
from vae_runner.evaluation.disentanglement.mutual_information import (
    discretise,
    mig_score,
    modularity_score,
    mutual_information,
)

FACTORS = grid(4, 4, 2)
ENTANGLED = 4 * FACTORS[:, :1] + FACTORS[:, 1:2]  # tells all of factors 0 and 1, and nothing of 2


def binned(unit, bins):
    return np.digitize(unit, np.histogram(unit, bins)[1][:-1])


@pytest.mark.parametrize("bins", [2, 7, 20])
def test_information_and_gap_are_those_of_scikit_learn_and_scipy(bins):
    factors = grid(5, 3, copies=20)
    codes = mixed(factors)
    expected = [[mutual_info_score(binned(unit, bins), values) for values in factors.T] for unit in codes.T]
    np.testing.assert_allclose(mutual_information(examples_of(codes, factors), bins), expected, rtol=1e-9)
    second, best = sorted(row[0] for row in expected)[-2:]
    gap = (best - second) / entropy_of(np.bincount(factors[:, 0]))
    assert mig_score(codes, factors[:, :1], bins=bins) == pytest.approx(gap, rel=1e-9)


def test_information_of_a_table_counted_by_hand():
    # (unit, factor) seen 3, 1, 1, 3 times: I = 2 * 3/8 log(3/8 / 1/4) + 2 * 1/8 log(1/8 / 1/4) = 0.130812 nats
    unit, factor = np.array([[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 0, 1, 1, 1]])
    information = mutual_information(examples_of(unit[:, None], factor[:, None]), 2)
    assert information.item() == pytest.approx(0.130812, abs=1e-6)
    # a single unit's gap is to zero, and H(v) = log 2: 0.130812 / 0.693147
    assert mig_score(unit[:, None], factor[:, None], bins=2) == pytest.approx(0.188722, abs=1e-6)


def test_bins_are_of_equal_width():
    assert discretise(np.array([0, 0.49, 0.5, 9.99, 10]), 20).tolist() == [0, 0, 1, 19, 19]
    assert len(set(discretise(np.full(5, 0.1), 20))) == 1


def test_the_factors_themselves_reach_one():
    assert mig_score(FACTORS, FACTORS) == pytest.approx(1)
    assert modularity_score(FACTORS, FACTORS) == pytest.approx(1)


def test_an_independent_unit_tells_nothing():
    # the last factor of the grid, kept back, is noise whose joint frequencies are exactly products
    assert mig_score(FACTORS[:, 2:], FACTORS[:, :2]) == 0
    assert modularity_score(FACTORS[:, 2:], FACTORS[:, :2]) == 0


@pytest.mark.parametrize("values", [(3, 7, 5), (6, 5, 7), (7, 11, 3)])
def test_rounding_is_no_information(values):
    factors = grid(*values)
    assert modularity_score(factors[:, 2:], factors[:, :2]) == 0


def test_noise_has_the_gap_and_the_modularity_of_chance():
    # 2N I is chi-squared of d = 19 * 49 degrees of freedom (Wilks): mean d, deviation sqrt(2d). So I = d/2N = 0.0233
    # nats, with deviation r = sqrt(2/d) = 0.0463 of it, the same for both factors: the ratio of the lesser to the
    # greater is about 1 - r 2/sqrt(pi), and modularity 1 - its square = 0.102.
    factors = np.random.default_rng(0).integers(50, size=(20_000, 2))
    codes = np.random.default_rng(1).uniform(size=(20_000, 8))
    information = mutual_information(examples_of(codes, factors), 20)
    assert information.mean() == pytest.approx(0.0233, rel=0.05)
    assert modularity_score(codes, factors) == pytest.approx(0.102, abs=0.08)
    # of two of the eight, a few deviations of 0.0463 * 0.0233 nats apart, of log 50 = 3.9
    assert 0 < mig_score(codes, factors) < 4 * 0.0463 * 0.0233 / 3.9


def test_the_gap_is_of_the_entropy_of_each_factor():
    # factors 0 and 1 told, factor 2 not: (1 + 1 + 0) / 3
    assert mig_score(FACTORS[:, :2], FACTORS) == pytest.approx(2 / 3)
    # one of two bits of factor 0, of a single unit: log 2 / log 4
    assert mig_score(FACTORS[:, :1] // 2, FACTORS[:, :1]) == pytest.approx(1 / 2)
    # all of it against one bit of it: (log 4 - log 2) / log 4
    assert mig_score(np.hstack([FACTORS[:, :1] // 2, FACTORS[:, :1]]), FACTORS[:, :1]) == pytest.approx(1 / 2)
    # two units that tell it all
    assert mig_score(FACTORS[:, [0, 0]], FACTORS[:, :1]) == 0


def test_too_few_bins_merge_values():
    # four values in two bins: one bit of two
    assert mig_score(FACTORS[:, :1], FACTORS[:, :1], bins=2) == pytest.approx(1 / 2)


def test_modularity_counts_what_a_unit_tells_of_its_second_factor():
    # as much of one other factor of one as of its own, so 0; as much of one other of two, so 1/2
    assert modularity_score(ENTANGLED, FACTORS[:, :2]) == pytest.approx(0)
    assert modularity_score(ENTANGLED, FACTORS) == pytest.approx(1 / 2)
    assert modularity_score(np.hstack([ENTANGLED, FACTORS[:, :1]]), FACTORS) == pytest.approx((1 / 2 + 1) / 2)
    # two bits of factor 0 and one of factor 1: 1 - (1/2)^2
    uneven = 2 * FACTORS[:, :1] + FACTORS[:, 1:2] // 2
    assert modularity_score(uneven, FACTORS[:, :2]) == pytest.approx(3 / 4)


def test_a_constant_unit_tells_nothing():
    codes = np.hstack([FACTORS, np.full((len(FACTORS), 1), 0.1)])
    assert mig_score(codes, FACTORS) == pytest.approx(1)
    assert modularity_score(codes, FACTORS) == pytest.approx(3 / 4)  # three units of one and one of 0
    assert mig_score(codes[:, 3:], FACTORS) == modularity_score(codes[:, 3:], FACTORS) == 0


def test_order_and_sign_of_units_do_not_matter():
    factors = grid(5, 3, copies=20)
    codes = mixed(factors)
    assert mig_score(changed(codes), factors) == pytest.approx(mig_score(codes, factors), rel=1e-9)
    assert modularity_score(changed(codes), factors) == pytest.approx(modularity_score(codes, factors), rel=1e-9)


def test_values_are_names():
    codes = mixed(FACTORS)
    renamed = np.array([[9, -3, 40, 2]]).T[FACTORS].squeeze(2)
    assert mig_score(codes, renamed) == pytest.approx(mig_score(codes, FACTORS), rel=1e-9)


def test_fewer_examples_than_bins_are_enough():
    few = grid(2, 2)
    assert mig_score(few, few, bins=20) == pytest.approx(1)
    assert modularity_score(few, few, bins=20) == pytest.approx(1)


def test_modularity_of_one_factor_is_not_defined():
    assert math.isnan(modularity_score(noise(32, 2), FACTORS[:, :1]))


def test_a_single_bin_is_refused():
    with pytest.raises(UserError, match="bins=1: must be 2 or more"):
        mig_score(FACTORS, FACTORS, bins=1)
