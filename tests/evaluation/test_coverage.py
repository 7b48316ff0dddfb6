import math

import pytest
import torch

from vae_runner.errors import UserError
from vae_runner.evaluation.coverage import class_coverage, class_shares


def certain(*counts, probability=0.97):
    """Probabilities (N, C) of so many examples of each class."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    rest = (1 - probability) / (len(counts) - 1)
    return torch.full((len(labels), len(counts)), rest).scatter(1, labels[:, None], probability)


def test_shares_by_the_most_probable_class():
    assert class_shares(torch.tensor([[0.6, 0.4, 0.0], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])).tolist() == [
        2 / 3,
        0,
        pytest.approx(1 / 3),
    ]


def test_samples_like_the_data():
    result = class_coverage(certain(30, 20, 50), torch.tensor([3, 2, 5]))
    assert result.shares.tolist() == pytest.approx([0.3, 0.2, 0.5])
    assert (result.present, result.classes) == (3, 3)
    assert result.kl == pytest.approx(0, abs=1e-12)
    assert result.confident == 1


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_a_collapse_to_one_of_equal_classes_costs_log_c(classes):
    result = class_coverage(certain(100, *[0] * (classes - 1)), torch.ones(classes))
    assert result.kl == pytest.approx(math.log(classes))
    assert result.present == 1


def test_planted_lost_modes_are_found():
    # 3 of 10 equal modes are lost and one is all but lost: KL of 6 equal shares 1/6 from 1/10 is about log(10 / 6)
    result = class_coverage(certain(*[1000] * 6, 2, 0, 0, 0), torch.full((10,), 0.1))
    assert (result.present, result.classes) == (6, 10)
    assert result.kl == pytest.approx(math.log(10 / 6), abs=0.01)


def test_presence_is_measured_by_the_class_s_own_share():
    # 2 of 1,000 samples are many for a class of 1 percent and few for one of 50
    data = torch.tensor([49, 1, 50])
    assert class_coverage(certain(998, 2, 0), data).present == 2
    assert class_coverage(certain(998, 2, 0), data, least=0.5).present == 1
    assert class_coverage(certain(998, 1, 1), data).present == 2


def test_a_share_that_is_just_enough_counts():
    assert class_coverage(certain(90, 10), torch.tensor([0.5, 0.5]), least=0.2).present == 2
    assert class_coverage(certain(91, 9), torch.tensor([0.5, 0.5]), least=0.2).present == 1


def test_confidence():
    mixed = torch.cat([certain(30, 0, probability=0.95), certain(0, 10, probability=0.6)])
    assert class_coverage(mixed, torch.ones(2)).confident == 0.75
    assert class_coverage(mixed, torch.ones(2), confidence=0.5).confident == 1


def test_a_class_that_the_data_lacks():
    result = class_coverage(certain(5, 0, 5), torch.tensor([1, 1, 0]))
    assert result.kl == math.inf
    assert (result.present, result.classes) == (1, 2)


def test_draws_from_the_data_s_shares_cost_as_little_as_stated():
    data = torch.tensor([0.4, 0.3, 0.2, 0.1])
    n, generator = 500, torch.Generator().manual_seed(0)
    labels = torch.multinomial(data, 300 * n, replacement=True, generator=generator).view(300, n)
    found = [class_coverage(torch.nn.functional.one_hot(row, 4).float(), data).kl for row in labels]
    assert sum(found) / 300 == pytest.approx(3 / (2 * n), rel=0.15)


@pytest.mark.parametrize(
    ("probabilities", "data", "message"),
    [
        (certain(5, 5), torch.ones(3), "2 classes and shares of shape"),
        (certain(5, 5), torch.tensor([1.0, -1.0]), "none may be negative"),
        (certain(5, 5), torch.zeros(2), "one must be above 0"),
        (torch.full((4, 2), math.nan), torch.ones(2), "NaN"),
        (torch.zeros(0, 2), torch.ones(2), "0 examples"),
        (torch.tensor([[3.0, -2.0]]), torch.ones(2), r"they lie in \[0, 1\]"),
    ],
)
def test_what_is_no_distribution_is_refused(probabilities, data, message):
    with pytest.raises(UserError, match=message):
        class_coverage(probabilities, data)
