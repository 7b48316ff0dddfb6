import numpy as np
import pytest
import torch

from tests.evaluation.disentanglement.planted import grid, noise
from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement.examples import examples_of, generator_of, split

FACTORS = grid(2, 3, copies=4)
CODES = noise(24, 2)


def replaced(table, row, column, value):
    table = table.astype(float)
    table[row, column] = value
    return table


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (replaced(CODES, 3, 1, np.nan), FACTORS, "unit 1 is nan at example 3"),
        (replaced(CODES, 0, 0, -np.inf), FACTORS, "unit 0 is -inf at example 0"),
        (replaced(CODES, 0, 0, 1e31), FACTORS, r"below 1e\+30"),
        (CODES[:, 0], FACTORS, r"codes of shape \(24,\)"),
        (CODES[:, :0], FACTORS, "must have a unit"),
        (CODES[:5], FACTORS, "codes of 5 examples and factors of 24"),
        (CODES[:0], FACTORS[:0], "none has two values"),
        (CODES, FACTORS[:, 0], r"factors of shape \(24,\)"),
        (CODES, replaced(FACTORS, 2, 1, 0.25), "factor 1 has the value 0.25: must be whole.*quantile"),
        (CODES, replaced(FACTORS, 2, 1, np.nan), "factor 1 has the value nan"),
        (CODES, replaced(FACTORS, 2, 1, np.inf), "factor 1 has the value inf"),
        (CODES, np.arange(48).reshape(24, 2), "factor 0 has 24 values in 24 examples"),
        (CODES, np.full((24, 2), "red"), "factors: must be numbers"),
        (
            torch.tensor(CODES, requires_grad=True),
            FACTORS,
            "codes: must be numbers in an array, or in a detached tensor",
        ),
        (CODES, np.ones((24, 2)), "none has two values"),
        (CODES, FACTORS[:, :0], "none has two values"),
    ],
)
def test_what_has_no_scores_is_refused(codes, factors, message):
    with pytest.raises(UserError, match=message):
        examples_of(codes, factors)


def test_factors_of_a_single_value_are_left_out_and_the_others_keep_their_columns():
    examples = examples_of(CODES, np.column_stack([np.full(24, 7), FACTORS]))
    assert examples.columns.tolist() == [1, 2]
    assert np.array_equal(examples.factors, FACTORS)


@pytest.mark.parametrize("kind", [torch.tensor, lambda table: table.astype(np.float32), lambda table: table == 1])
def test_whole_numbers_of_any_type_are_factors(kind):
    examples = examples_of(torch.tensor(CODES), kind(FACTORS))
    assert examples.factors.dtype == np.int64
    assert examples.factors.tolist() == np.asarray(kind(FACTORS)).tolist()


def test_a_split_holds_out_its_share_and_loses_no_example():
    names = np.arange(24.0)[:, None]
    fitted, scored = split(examples_of(names, FACTORS), 0.25, generator_of(0))
    assert len(scored.codes) == 6
    assert sorted(np.concatenate([fitted.codes, scored.codes]).ravel()) == list(range(24))
    for part in (fitted, scored):
        assert np.array_equal(part.factors, FACTORS[part.codes.ravel().astype(int)])


def test_a_factor_that_cannot_be_fitted_and_scored_is_refused():
    rare = np.zeros((24, 1), dtype=int)
    rare[0] = 1
    with pytest.raises(UserError, match=r"factor 2 has fewer than two values met both in the 18 .* 6 held out"):
        split(examples_of(CODES, np.hstack([FACTORS, rare])), 0.25, generator_of(0))


@pytest.mark.parametrize("held_out", [0, 1, float("nan")])
def test_both_parts_must_have_a_share(held_out):
    with pytest.raises(UserError, match=f"held_out={held_out}: must be above 0 and below 1"):
        split(examples_of(CODES, FACTORS), held_out, generator_of(0))


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="seed=-1: must be 0 or more"):
        generator_of(-1)
