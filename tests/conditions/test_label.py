"""Class labels as a condition."""

import pytest
import torch

from vae_runner.conditions.label import Label
from vae_runner.data.space import Space
from vae_runner.errors import UserError


def label(*names):
    return Label(Space((4,), "real", classes=3, class_names=names))


def test_a_class_is_asked_for_by_its_name():
    assert label("cat", "dog", "owl").parse("dog").tolist() == [1]
    assert label("3", "7", "10").parse(" 10").tolist() == [2]


def test_classes_without_names_are_counted_from_zero():
    assert label().parse("2").tolist() == [2]
    assert label().each()[1] == ["0", "1", "2"]


@pytest.mark.parametrize("text", ["cow", "1", ""])
def test_what_is_no_class_is_refused_with_those_there_are(text):
    with pytest.raises(UserError, match=f"label={text}: must be one of cat, dog, owl"):
        label("cat", "dog", "owl").parse(text)


def test_a_hidden_label_is_a_context_of_zeros():
    context = label()(torch.tensor([2, -1]))
    assert context[1].tolist() == [0, 0, 0]
    assert context[0].count_nonzero() == 1
