"""`data.labels`: of which training examples the class is known."""

import pytest
import torch

from tests.data.in_memory import InMemory, numbered
from vae_runner.errors import UserError


def source(n=100, classes=4, **settings):
    """Class 0 is the most frequent; the others share the rest."""
    y = torch.cat([torch.zeros(n // 2, dtype=torch.long), torch.arange(n - n // 2) % (classes - 1) + 1])
    return InMemory(numbered(n), y, classes=classes, **{"validation": 10, "test": 10, **settings})


def labels(data, split="train"):
    examples = getattr(data, split)
    return examples.take(torch.arange(len(examples)))[1]


def test_as_many_labels_are_kept_as_asked_for_and_the_others_are_hidden():
    y, everything = labels(source(labels=8).open()), labels(source().open())
    assert (y >= 0).sum() == 8
    assert (y == -1).sum() == 72
    assert torch.equal(y[y >= 0], everything[y >= 0])


@pytest.mark.parametrize(("kept", "of_each"), [(4, [1, 1, 1, 1]), (8, [2, 2, 2, 2]), (10, [3, 3, 2, 2])])
def test_each_class_keeps_as_many(kept, of_each):
    y = labels(source(labels=kept).open())
    assert y[y >= 0].bincount().tolist() == of_each


def test_validation_and_test_keep_theirs():
    data, everything = source(labels=8).open(), source().open()
    for split in ("validation", "test"):
        assert torch.equal(labels(data, split), labels(everything, split))


def test_the_same_seed_keeps_the_same_labels_and_another_seed_others():
    first = labels(source(labels=8, validation=0, test=0).open()) >= 0
    torch.manual_seed(9)
    assert torch.equal(labels(source(labels=8, validation=0, test=0).open()) >= 0, first)
    assert not torch.equal(labels(source(labels=8, validation=0, test=0, split_seed=1).open()) >= 0, first)


def test_fewer_labels_are_a_part_of_more():
    few, many = (labels(source(labels=n).open()) >= 0 for n in (8, 20))
    assert bool((few <= many).all())


def test_the_source_keeps_its_labels_for_whoever_opens_it_next():
    y = torch.arange(40) % 2
    InMemory(numbered(40), y, classes=2, labels=2, validation=0, test=0).open()
    assert torch.equal(y, torch.arange(40) % 2)


def test_labels_that_were_hidden_before_are_not_counted():
    y = torch.arange(40) % 2
    y[5:] = -1
    with pytest.raises(UserError, match=r"data\.labels=6: must be from 2, one of each class, to 4"):
        InMemory(numbered(40), y, classes=2, labels=6, validation=0, test=0).open()


@pytest.mark.parametrize("wrong", [3, 60])
def test_fewer_than_a_label_of_each_class_and_more_than_there_are_are_refused(wrong):
    with pytest.raises(UserError, match=rf"data\.labels={wrong}: must be from 4, one of each class, to \d+, for"):
        source(labels=wrong).open()


def test_data_without_classes_is_refused():
    with pytest.raises(UserError, match=r"data\.labels=4: .* has no class labels to keep; type data.labels=null"):
        InMemory(numbered(40), labels=4).open()
