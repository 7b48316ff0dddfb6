import math

import pytest
import torch

from vae_runner.errors import UserError
from vae_runner.evaluation.precision_recall import precision_recall, squared_radii


def draws(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def line(*values):
    return torch.tensor(values)[:, None]


def test_points_on_a_line_by_hand():
    # balls of the data: [-1, 1], [0, 2], [-6, 10] around 2, [2, 18] around 10 with k = 1: radii 1, 1, 1, 8
    data = line(0.0, 1.0, 2.0, 10.0)
    # samples 0.5 (radius 4), 4.5 (4), 20 (15.5)
    samples = line(0.5, 4.5, 20.0)
    result = precision_recall(data, samples, k=1)
    assert squared_radii(data, 1).sqrt().tolist() == [1, 1, 1, 8]
    # 0.5 is in the balls around 0 and 1, 4.5 in that around 10, 20 in none
    assert result.precision == pytest.approx(2 / 3)
    assert result.density == pytest.approx(3 / 3)
    # the ball around 2 reaches to 3 and holds no sample
    assert result.coverage == pytest.approx(3 / 4)
    # balls of the samples: [-3.5, 4.5], [0.5, 8.5], [4.5, 35.5]
    assert result.recall == 1


def test_k_counts_the_others():
    # k = 2: the second of the others lies at 2, 1, 2, 9
    assert squared_radii(line(0.0, 1.0, 2.0, 10.0), 2).sqrt().tolist() == [2, 1, 2, 9]
    result = precision_recall(line(0.0, 1.0, 2.0, 10.0), line(0.5, 4.5, 20.0), k=2)
    # 0.5 lies in three balls ([-2, 2], [0, 2], [0, 4]) and 4.5 in one ([1, 19]), over k = 2 and three samples
    assert result.density == pytest.approx(4 / 6)
    assert result.coverage == 1


def test_one_distribution_has_the_known_expectations():
    k, n = 5, 2000
    result = precision_recall(draws(n, 3), draws(n, 3, seed=1), k=k)
    assert result.density == pytest.approx(1, abs=0.05)
    assert result.coverage == pytest.approx(1 - 2**-k, abs=0.015)
    assert result.precision > 0.9
    assert result.recall > 0.9


def test_a_dropped_mode_costs_recall_and_coverage():
    data = torch.cat([draws(500, 2), draws(500, 2, seed=1) + 100])
    result = precision_recall(data, draws(1000, 2, seed=2))
    assert result.recall == pytest.approx(0.5, abs=0.05)
    assert result.coverage == pytest.approx(0.5, abs=0.05)
    assert result.precision > 0.9
    assert result.density > 0.9


def test_an_invented_mode_costs_precision_and_density():
    samples = torch.cat([draws(500, 2), draws(500, 2, seed=1) + 100])
    result = precision_recall(draws(1000, 2, seed=2), samples)
    assert result.precision == pytest.approx(0.5, abs=0.05)
    assert result.density == pytest.approx(0.5, abs=0.1)
    assert result.recall > 0.9


def test_an_outlier_of_the_data_fools_precision_and_not_density():
    data = torch.cat([draws(300, 2), torch.tensor([[300.0, 0.0]])])
    samples = draws(300, 2, seed=1) + torch.tensor([150.0, 0.0])
    result = precision_recall(data, samples)
    assert result.precision > 0.9
    assert result.density == pytest.approx(1 / 5, abs=0.05)
    assert result.coverage == pytest.approx(1 / 301)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_equal_sets_and_constant_ones_are_wholly_covered(offset):
    for x in (draws(50, 30) + offset, torch.full((50, 30), 0.3) + offset):
        result = precision_recall(x, x.clone(), k=3)
        assert (result.precision, result.recall, result.coverage) == (1, 1, 1)


def test_examples_on_the_edge_of_a_ball_lie_in_it_in_spite_of_rounding():
    # each example is there twice, so that with k = 1 all balls have the radius 0
    x = draws(60, 300).double()
    result = precision_recall(torch.cat([x, x]), torch.cat([x[:21], x[:21]]).flip(0), k=1)
    assert result.precision == 1
    assert result.density == 2
    assert result.recall == result.coverage == pytest.approx(21 / 60)


def test_far_from_the_origin_the_figures_are_the_same():
    data, samples = draws(200, 3).double(), 1.5 * draws(150, 3, seed=1).double()
    assert precision_recall(data + 1e7, samples + 1e7) == precision_recall(data, samples)


def test_sets_apart_share_nothing():
    result = precision_recall(draws(50, 2), draws(70, 2) + 100)
    assert (result.precision, result.recall, result.density, result.coverage) == (0, 0, 0, 0)


@pytest.mark.parametrize("pairs", [1, 999, 20_000])
def test_memory_does_not_change_the_figures(pairs):
    data, samples = draws(120, 3), draws(90, 3, seed=1)
    assert precision_recall(data, samples, pairs=pairs) == precision_recall(data, samples)


def test_what_has_no_balls_is_refused():
    with pytest.raises(UserError, match="k=5: with 5 examples, k is 1 to 4"):
        precision_recall(draws(50, 2), draws(5, 2))
    with pytest.raises(UserError, match="k=0"):
        precision_recall(draws(50, 2), draws(50, 2), k=0)
    with pytest.raises(UserError, match="features of the samples: some values are NaN"):
        precision_recall(draws(50, 2), torch.full((50, 2), math.nan))
