"""Splits, limits and checks that all sources share."""

import math

import pytest
import torch

from tests.data.in_memory import InMemory, everything, numbered
from vae_runner.data.data import Data
from vae_runner.errors import UserError


def members(data: Data) -> list[set[int]]:
    return [
        {round(float(x) * 100) for x in everything(split).flatten()}
        for split in (data.train, data.validation, data.test)
    ]


def test_splits_are_disjoint_and_together_hold_every_example():
    train, validation, test = members(InMemory(numbered(100), validation=0.2, test=10).open())
    assert (len(train), len(validation)) == (72, 18)
    assert len(test) == 10
    assert train | validation | test == set(range(100))
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_same_seed_gives_the_same_splits_and_another_seed_others():
    first = members(InMemory(numbered(100), test=20).open())
    assert members(InMemory(numbered(100), test=20).open()) == first
    assert members(InMemory(numbered(100), test=20, split_seed=1).open()) != first


def test_splits_do_not_depend_on_the_global_random_state():
    torch.manual_seed(1)
    first = members(InMemory(numbered(100)).open())
    torch.manual_seed(2)
    assert members(InMemory(numbered(100)).open()) == first


def test_opening_leaves_the_global_random_state_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    InMemory(numbered(100)).open()
    assert torch.rand(1) == expected


def test_a_smaller_limit_keeps_a_part_of_a_larger_ones_examples_and_leaves_the_other_splits():
    small, *small_rest = members(InMemory(numbered(100), limit=10).open())
    large, *large_rest = members(InMemory(numbered(100), limit=40).open())
    assert len(small) == 10
    assert len(large) == 40
    assert small < large
    assert small_rest == large_rest


def test_a_limit_above_what_remains_keeps_everything():
    assert len(InMemory(numbered(100), validation=10, test=10, limit=1000).open().train) == 80


def test_validation_counts_from_one_and_is_a_fraction_below():
    assert len(InMemory(numbered(200), validation=30, test=0).open().validation) == 30
    assert len(InMemory(numbered(200), validation=0.25, test=0).open().validation) == 50
    assert len(InMemory(numbered(200), validation=1, test=0).open().validation) == 1


def test_no_validation_and_no_test_leave_all_examples_in_their_order_to_train():
    data = InMemory(numbered(50), validation=0, test=0).open()
    assert torch.equal(everything(data.train), numbered(50))
    assert len(data.validation) == len(data.test) == 0


def test_a_source_without_a_test_split_gives_a_tenth_of_its_examples():
    assert len(InMemory(numbered(200)).open().test) == 20


def test_a_test_split_of_its_own_is_kept_whole():
    data = InMemory(numbered(50), own={"test": numbered(7)}).open()
    assert torch.equal(everything(data.test), numbered(7))
    assert len(data.train) + len(data.validation) == 50


def test_a_validation_split_of_its_own_is_used_unless_a_number_is_given():
    own = {"validation": numbered(7), "test": numbered(9)}
    data = InMemory(numbered(50), own=own, validation=None).open()
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 7, 9)
    data = InMemory(numbered(50), own=own, validation=5).open()
    assert (len(data.train), len(data.validation)) == (45, 5)


def test_labels_stay_with_their_examples():
    data = InMemory(numbered(100), torch.arange(100)).open()
    for split in (data.train, data.validation, data.test):
        x, y = split.take(torch.arange(len(split)))
        assert torch.equal((x[:, 0] * 100).round().long(), y)


@pytest.mark.parametrize(
    ("x", "support"),
    [
        (torch.tensor([[0.0, 1.0], [1.0, 1.0]]), "binary"),
        (torch.tensor([[0.0, 0.5], [1.0, 1.0]]), "unit"),
        (torch.tensor([[0.0, 1.5], [1.0, 1.0]]), "real"),
        (torch.tensor([[0.0, -0.1], [1.0, 1.0]]), "real"),
        (torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8), "binary"),
        (torch.tensor([[0, 1], [255, 0]], dtype=torch.uint8), "unit"),
    ],
)
def test_the_support_is_the_smallest_that_holds_all_values(x, support):
    assert InMemory(x.repeat(100, 1), validation=0, test=0).open().space.support == support


def test_the_support_holds_the_test_examples_too():
    data = InMemory(numbered(50), own={"test": numbered(5) - 3}).open()
    assert data.space.support == "real"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["training", "test"])
def test_nan_and_infinite_values_are_refused_with_the_split_and_the_example(value, part):
    x, test = numbered(3000), numbered(3000)
    (x if part == "training" else test)[2000] = value
    what = "NaN" if math.isnan(value) else "infinite values"
    with pytest.raises(UserError, match=f": {what} in {part} example 2000,"):
        InMemory(x, own={"test": test}).open()


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_examples_are_refused(n):
    with pytest.raises(UserError, match=f"{n} examples? to train on, at least 2"):
        InMemory(numbered(n), own={"test": numbered(5)}).open()


def test_a_validation_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(UserError, match=r"data\.validation 99: at least 2 must remain"):
        InMemory(numbered(100), validation=99, test=0).open()


def test_a_validation_larger_than_the_data_is_refused():
    with pytest.raises(UserError, match=r"data\.validation 5000"):
        InMemory(numbered(100), validation=5000).open()


def test_one_and_a_half_examples_are_refused():
    with pytest.raises(UserError, match=r"data\.validation=1\.5: a fraction below 1, or a whole number"):
        InMemory(numbered(100), validation=1.5).open()


def test_validation_null_is_refused_where_there_is_no_split_of_its_own():
    with pytest.raises(UserError, match=r"data\.validation=null"):
        InMemory(numbered(100), validation=None).open()


@pytest.mark.parametrize("binarize", ["threshold", "stochastic"])
def test_binarising_values_outside_the_unit_interval_is_refused_with_the_fix(binarize):
    with pytest.raises(UserError, match=f"data.binarize={binarize}.*data.scale=unit"):
        InMemory(numbered(100) * 3, binarize=binarize).open()


@pytest.mark.parametrize("binarize", ["threshold", "stochastic"])
def test_binarised_data_is_binary(binarize):
    assert InMemory(numbered(100), binarize=binarize).open().space.support == "binary"
