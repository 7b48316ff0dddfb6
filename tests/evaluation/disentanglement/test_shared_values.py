import numpy as np
import pytest

from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.shared_values import SharedValues, turns

VALUES = np.array([5, 2, 5, 9, 2, 5, 5, 5])  # 2 twice, 5 five times, 9 once


def test_a_mini_batch_shares_a_value_met_twice_as_often_as_the_set_has_it():
    rows = SharedValues(VALUES, 0).batches(np.random.default_rng(0), 7000, 6)
    values = VALUES[rows]
    assert rows.shape == (7000, 6)
    assert (values == values[:, :1]).all()
    # five of the seven examples that share their value have value 5; standard error 0.0054
    assert (values[:, 0] == 5).mean() == pytest.approx(5 / 7, abs=0.02)
    assert 9 not in values
    assert set(rows[values == 5]) == {0, 2, 5, 6, 7}


def test_partners_share_a_value_and_are_two_examples():
    rows, partners = SharedValues(VALUES, 0).pairs(np.random.default_rng(0), 700, 6)
    assert rows.shape == partners.shape == (700, 6)
    assert (VALUES[rows] == VALUES[partners]).all()
    assert (rows != partners).all()
    assert set(partners[rows == 0]) == {2, 5, 6, 7}
    assert len(set(VALUES[rows[0]])) == 2  # the value varies between pairs


def test_a_set_in_which_no_two_share_a_value_is_refused():
    with pytest.raises(UserError, match="factor 3: no two of 4 examples share a value"):
        SharedValues(np.arange(4), 3)


def test_factors_take_turns():
    assert turns(8, 3) == [3, 3, 2]
