"""Each standard error against the spread of its figure over data sets drawn anew."""

import math
from dataclasses import asdict

import pytest
import torch
from torch.nn.functional import one_hot

from tests.evaluation.spread import against_spread, groups_against_spread, seeded
from vae_runner.evaluation.coverage import class_coverage
from vae_runner.evaluation.frechet import frechet_distance
from vae_runner.evaluation.precision_recall import precision_recall
from vae_runner.evaluation.standard_errors import beside, of_groups, of_mean, of_ratio, partitions


def test_groups_part_the_examples():
    for groups in partitions(10, groups=3, times=5):
        assert sorted(len(rows) for rows in groups) == [3, 3, 4]
        assert sorted(torch.cat(list(groups)).tolist()) == list(range(10))


def test_of_several_sets_each_group_has_its_share():
    for groups in partitions(6, 4, times=5):
        assert [(int((rows < 6).sum()), int((rows >= 6).sum())) for rows in groups] == [(3, 2), (3, 2)]
        assert sorted(torch.cat(list(groups)).tolist()) == list(range(10))


def test_partitions_follow_their_seed_and_differ():
    first, again, other = ([rows[0].tolist() for rows in partitions(20, times=3, seed=seed)] for seed in (1, 1, 2))
    assert first == again != other
    assert first[0] != first[1]


def test_two_halves_by_hand():
    # means of 1 and 5: their variance is 8, over two groups
    x = torch.tensor([0.0, 2.0, 4.0, 6.0])
    halves = [[torch.tensor([0, 1]), torch.tensor([2, 3])]]
    assert of_groups(lambda rows: {"mean": float(x[rows].mean())}, halves) == {"mean": pytest.approx(2)}


@pytest.mark.parametrize("groups", [2, 5])
def test_the_error_of_a_mean_is_that_of_its_examples(groups):
    x = torch.randn(1000, generator=seeded(0))
    found = of_groups(lambda rows: {"mean": float(x[rows].mean())}, partitions(1000, groups=groups, times=400))
    assert found["mean"] == pytest.approx(of_mean(x), rel=0.1)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_what_a_group_does_not_have_has_no_error(missing):
    found = of_groups(lambda rows: {"known": 1.0, "not": missing if 0 in rows else 1.0}, partitions(10))
    assert found == {"known": 0.0, "not": None}


@pytest.mark.filterwarnings("error")
def test_one_value_alone_has_no_error():
    assert of_mean(torch.ones(1)) is None


def test_infinite_values_have_no_error():
    assert of_mean(torch.tensor([1.0, math.inf])) is None


def test_errors_stand_beside_their_figures():
    found = beside({"a": 1.0, "b": None, "c": 2.0}, {"a": 0.1, "b": None})
    assert list(found.items()) == [
        *(("a", 1.0), ("a_standard_error", 0.1), ("b", None), ("b_standard_error", None), ("c", 2.0))
    ]


def ratio(x, y):
    return float(x.mean() / y.mean()), of_ratio(x, y)


def test_the_error_of_a_ratio_of_means_knows_what_belongs_together():
    def together(seed):
        y = 2 + torch.rand(200, generator=seeded(seed)).double()
        return 3 * y + 0.1 * torch.randn(200, generator=seeded(seed + 1000)), y

    def apart(seed):
        x, y = torch.randn(200, generator=seeded(seed)), torch.randn(300, generator=seeded(seed + 1000))
        return (3 + x).double(), (5 + y).double()

    assert against_spread(together, lambda pair: ratio(*pair), 300) == pytest.approx(1, abs=0.1)
    assert against_spread(apart, lambda pair: ratio(*pair), 300) == pytest.approx(1, abs=0.1)


def clouds(n, d, shift, scale):
    def draw(seed):
        generator = seeded(seed)
        return torch.randn(n, d, generator=generator), scale * torch.randn(n, d, generator=generator) + shift

    return draw


@pytest.mark.parametrize(("n", "d", "shift", "scale"), [(300, 4, 0.5, 0.8), (100, 40, 0.3, 0.6)])
def test_a_frechet_distance(n, d, shift, scale):
    found = groups_against_spread(
        clouds(n, d, shift, scale), lambda x, y: {"distance": frechet_distance(x, y)}, sets=120, with_errors=15
    )
    assert found["distance"] == pytest.approx(1, abs=0.25)


def test_a_frechet_distance_of_equal_distributions_has_an_error_too_large_and_not_too_small():
    found = groups_against_spread(
        clouds(200, 5, 0, 1), lambda x, y: {"distance": frechet_distance(x, y)}, sets=120, with_errors=15
    )
    assert 1 < found["distance"] < 1.8


def test_precision_recall_density_and_coverage():
    found = groups_against_spread(
        clouds(200, 4, 0.4, 0.8), lambda x, y: asdict(precision_recall(x, y)), sets=120, with_errors=15
    )
    assert found == {name: pytest.approx(1, abs=0.3) for name in ("precision", "recall", "density", "coverage")}


def test_pairs_that_belong_together_stay_together():
    """A sample has the condition of its example: where both are the same, a difference of means has no error."""
    x = torch.randn(100, generator=seeded(0)).double()
    found = of_groups(lambda rows: {"difference": float(x[rows].mean() - x[rows].mean())}, partitions(100))
    assert found["difference"] == 0


def test_the_divergence_of_classes():
    def draw(seed):
        generator = seeded(seed)
        chances = torch.softmax(torch.arange(6.0) / 3, 0)
        samples = torch.multinomial(chances, 300, replacement=True, generator=generator)
        return one_hot(samples, 6).float(), torch.randint(0, 6, (300,), generator=generator)

    def kl(probabilities, classes):
        return {"kl": class_coverage(probabilities, classes.bincount(minlength=6)).kl}

    assert groups_against_spread(draw, kl, sets=200, with_errors=25)["kl"] == pytest.approx(1, abs=0.25)
