"""`data.leave_out`: classes that training and validation are not shown."""

import numpy as np
import pytest
import torch

from tests.data.in_memory import InMemory, everything, numbered
from vae_runner.data.arrays import Arrays
from vae_runner.data.digits import Digits
from vae_runner.data.series import Series
from vae_runner.errors import UserError


def labels(data, split):
    examples = getattr(data, split)
    return examples.take(torch.arange(len(examples)))[1]


def source(**settings):
    """Four classes, 25 examples of each."""
    return InMemory(numbered(100), torch.arange(100) % 4, classes=4, **{"validation": 20, "test": 20, **settings})


def test_training_and_validation_have_no_example_of_the_class_and_test_is_as_it_was():
    data, whole = source(leave_out=[2]).open(), source().open()
    assert 2 not in labels(data, "train")
    assert 2 not in labels(data, "validation")
    assert torch.equal(everything(data.test), everything(whole.test))
    assert 2 in labels(data, "test")
    assert data.left_out == (2,)
    assert data.space == whole.space


def test_the_other_examples_stay_in_their_splits_and_in_their_order():
    data, whole = source(leave_out=[0, 3]).open(), source().open()
    for split in ("train", "validation"):
        y = labels(whole, split)
        kept = everything(getattr(whole, split))[(y == 1) | (y == 2)]
        assert torch.equal(everything(getattr(data, split)), kept)
    assert data.left_out == (0, 3)


def test_a_limit_counts_the_examples_that_are_left():
    data = source(leave_out=[2], limit=30).open()
    assert len(data.train) == 30
    assert 2 not in labels(data, "train")


def test_the_class_is_left_out_where_nothing_else_is_divided():
    data = source(leave_out=[1], validation=0, test=0).open()
    assert len(data.train) == 75
    assert 1 not in labels(data, "train")


def test_a_class_is_left_out_by_its_name():
    assert 7 not in labels(Digits(leave_out=[7]).open(), "train")
    assert 7 not in labels(Digits(leave_out=["7"]).open(), "train")


def test_names_are_not_numbers_of_classes(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((60, 3)), y=np.arange(60) % 3 + 1)
    data = Arrays(path=str(tmp_path / "x.npz"), leave_out=[1]).open()
    assert data.left_out == (0,)
    with pytest.raises(UserError, match=r"data\.leave_out=\[0\]: .* has no class 0; must be of 1, 2, 3$"):
        Arrays(path=str(tmp_path / "x.npz"), leave_out=[0]).open()


def test_a_validation_split_of_the_sources_own_loses_the_class_too(tmp_path):
    arrays = {f"x_{split}": np.random.default_rng(0).random((30, 3)) for split in ("train", "validation", "test")}
    arrays |= {f"y_{split}": np.arange(30) % 3 for split in ("train", "validation", "test")}
    np.savez(tmp_path / "x.npz", **arrays)
    data = Arrays(path=str(tmp_path / "x.npz"), leave_out=[2], validation=None).open()
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 20, 30)


def test_examples_whose_class_is_hidden_stay():
    y = torch.arange(100) % 4
    y[:40] = -1
    data = InMemory(numbered(100), y, classes=4, leave_out=[2], validation=0, test=0).open()
    assert len(data.train) == 100 - 15


def test_labels_are_kept_of_the_other_classes():
    y = labels(source(leave_out=[2], labels=6).open(), "train")
    assert y[y >= 0].bincount(minlength=4).tolist() == [2, 2, 0, 2]


@pytest.mark.parametrize("nothing", [None, []])
def test_nothing_is_left_out_by_default(nothing):
    assert source(leave_out=nothing).open().left_out == ()
    assert len(source(leave_out=nothing).open().train) == 60


def test_data_without_classes_is_refused():
    with pytest.raises(UserError, match=r"data\.leave_out=\[7\]: .* no class labels .*; type data\.leave_out=null"):
        InMemory(numbered(40), leave_out=[7]).open()


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"data\.leave_out=\[2,12\]: .* has no class 12; must be of 0, 1, 2, 3$"):
        source(leave_out=[2, 12]).open()


def test_leaving_all_classes_out_is_refused():
    with pytest.raises(UserError, match=r"data\.leave_out=\[0,1,2,3\]: these are all classes of data; one at least"):
        source(leave_out=[0, 1, 2, 3]).open()


def test_a_table_that_is_cut_in_time_is_refused():
    with pytest.raises(UserError, match=r"data\.leave_out=\[1\]: a table .* type data\.leave_out=null"):
        Series(path="x.csv", layout="table", window=5, leave_out=[1]).open()


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_class_is_left_out_wherever_the_examples_lie(tmp_path, in_memory):
    torch.save({"x": torch.rand(60, 1, 4, 4), "y": torch.arange(60) % 3}, tmp_path / "x.pt")
    data = Arrays(path=str(tmp_path / "x.pt"), leave_out=[2], in_memory=in_memory, workers=0).open()
    assert sorted(labels(data, "train").unique().tolist()) == [0, 1]
    assert 2 not in labels(data, "validation")
    assert data.left_out == (2,)
