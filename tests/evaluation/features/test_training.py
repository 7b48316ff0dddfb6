"""Which features data gets, and what they learn."""

import math

import pytest
import torch

from tests.evaluation.features.conftest import DIGITS, draws, same
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.features import train_features
from vae_runner.evaluation.features.training import shifted, turned


def test_digits_are_told_and_the_accuracy_is_of_unseen_ones(digits, trained):
    _, test = digits
    right = (trained.probabilities(test.x).argmax(1) == test.y).double().mean()
    assert right > 0.95
    assert trained.accuracy == pytest.approx(float(right), abs=0.04)
    assert "convolutional network trained to tell 10 classes" in trained.name


def test_the_same_seed_makes_the_same_network_and_the_global_state_stays(digits):
    train, _ = digits
    state = torch.random.get_rng_state()
    one, two, other = (train_features(train.x, train.y, DIGITS, steps=3, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(one, two)
    assert not same(one, other)
    with torch.no_grad():
        assert same(one, train_features(train.x, train.y, DIGITS, steps=3))


def test_images_without_classes_are_told_by_their_turns(digits):
    train, test = digits
    found = train_features(train.x, None, DIGITS, steps=150)
    assert found.probabilities(test.x) is None
    assert found.accuracy > 0.5  # of chance 0.25; many an 0 and 8 is as good upside down
    assert "4 turns" in found.name
    assert found.features(test.x).shape == (297, 64)


def test_turns_are_quarter_turns_and_of_long_images_half_turns():
    x = torch.arange(4.0).view(1, 1, 2, 2)
    images, turns = turned(x, 4)
    assert turns.tolist() == [0, 1, 2, 3]
    assert images.flatten(1).tolist() == [[0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1]]
    long, turns = turned(torch.arange(3.0).view(1, 1, 1, 3), 2)
    assert turns.tolist() == [0, 1]
    assert long.flatten(1).tolist() == [[0, 1, 2], [2, 1, 0]]


def test_where_the_centre_lies_does_not_tell_the_turn():
    # a dot off the centre by half a pixel both ways would, at each turn elsewhere
    x = torch.zeros(200, 1, 16, 16)
    x[:, :, 7, 7] = 1
    x = x + 0.05 * draws(200, 1, 16, 16)
    # shifts by 2 each way leave 36 places of the 25 that each of 4 turns has: none tells more than 0.36
    assert train_features(x, None, Space((1, 16, 16), "real"), steps=60).accuracy < 0.5


def test_shifts_reach_an_eighth_of_a_side_and_repeat_the_border():
    x = (10 * torch.arange(8.0)[:, None] + torch.arange(16)).expand(400, 2, 8, 16)
    found = shifted(x, torch.Generator().manual_seed(0))
    assert torch.equal(found[:, 0], found[:, 1])
    # one step of rows is 10 and of columns 1
    middles = (found[:, 0, 4, 8] - 48).tolist()
    assert set(middles) == {10 * i + j for i in (-1, 0, 1) for j in (-2, -1, 0, 1, 2)}
    moved = found[middles.index(12), 0]
    assert moved[0].tolist() == [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 25, 25]
    assert moved[:, 0].tolist() == [12, 22, 32, 42, 52, 62, 72, 72]


def test_vectors_with_classes_get_a_network():
    y = torch.arange(400) % 3
    x = 3 * torch.nn.functional.one_hot(y, 3).float() + draws(400, 3)
    found = train_features(1000 * x + 5e4, y, Space((3,), "real"), steps=100)
    assert found.accuracy > 0.85
    assert found.probabilities(1000 * x + 5e4).shape == (400, 3)
    assert "fully connected" in found.name


def test_hidden_classes_are_left_out():
    y = torch.arange(60) % 3
    x = draws(60, 4)
    hidden = torch.cat([y, torch.full((40,), -1)])
    space = Space((4,), "real", classes=3)
    assert same(
        train_features(torch.cat([x, draws(40, 4)]), hidden, space, steps=3), train_features(x, y, space, steps=3)
    )
    assert train_features(x, torch.full((60,), -1), space).probabilities(x) is None


@pytest.mark.parametrize("n", [30, 4000])
def test_vectors_without_classes_get_white_components(n):
    x = draws(n, 5) @ draws(5, 5, seed=1) + 100
    found = train_features(x, None, Space((5,), "real"))
    values = found.features(x).double()
    assert found.accuracy is None
    assert found.probabilities(x) is None
    assert found.name == "5 whitened principal components of this data"
    # whole up to how much of the data was looked at
    torch.testing.assert_close(values.mean(0), torch.zeros(5).double(), rtol=0, atol=1e-3 if n == 30 else 0.1)
    torch.testing.assert_close(values.T.cov(), torch.eye(5).double(), rtol=0, atol=1e-2 if n == 30 else 0.15)


def test_components_are_as_many_as_the_data_has_and_64_at_most():
    flat = torch.cat([draws(100, 2), torch.full((100, 3), 7.0)], 1)
    assert train_features(flat, None, Space((5,), "real")).dimensions == 2
    assert train_features(draws(300, 10, 20), None, Space((10, 20), "real")).features(draws(4, 10, 20)).shape == (4, 64)


def test_components_are_white_where_dimensions_outnumber_examples():
    x = draws(50, 3) @ draws(3, 200, seed=1) + 5
    found = train_features(x, None, Space((200,), "real"))
    assert found.dimensions == 3
    torch.testing.assert_close(found.features(x).T.cov(), torch.eye(3), rtol=0, atol=1e-4)


X = draws(20, 3)


@pytest.mark.parametrize(
    ("x", "y", "space", "message"),
    [
        (torch.zeros(20, 5, dtype=torch.int64), None, Space((5,), "categorical", categories=3), "are the same"),
        (X, None, Space((4,), "real"), "not of the shape"),
        (X * math.nan, None, Space((3,), "real"), "NaN"),
        (X[:5], None, Space((3,), "real"), "5 examples to learn from"),
        (torch.ones(20, 3), None, Space((3,), "real"), "all training examples are the same"),
        (X, torch.zeros(20, 2), Space((3,), "real"), "classes are integers"),
        (X, torch.zeros(20, dtype=torch.int64), Space((3,), "real"), "two classes at least"),
        (X, torch.full((20,), 7), Space((3,), "real", classes=3), "a class is 7, and the data has 3"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(x, y, space, message):
    with pytest.raises(UserError, match=message):
        train_features(x, y, space, steps=2)
