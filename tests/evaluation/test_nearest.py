import math

import pytest
import scipy.stats
import torch
from sklearn.neighbors import NearestNeighbors

from tests.evaluation.spread import against_spread, seeded
from vae_runner.errors import UserError
from vae_runner.evaluation.nearest import copying, nearest, rank_test


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_points_on_a_line():
    found = nearest(torch.tensor([[0.0], [6.0], [10.0]]), torch.tensor([[1.0], [4.0], [9.0]]), k=2)
    assert found.indices.tolist() == [[0, 1], [1, 2], [2, 1]]
    assert found.distances.tolist() == [[1, 4], [2, 3], [1, 6]]


@pytest.mark.parametrize("pairs", [1, 1000, 2**23])
def test_it_equals_a_search_one_by_one_however_it_is_cut(pairs):
    queries, references = draws(50, 5), draws(80, 5, seed=1)
    distances, indices = NearestNeighbors(n_neighbors=3).fit(references.numpy()).kneighbors(queries.numpy())
    found = nearest(queries, references, k=3, pairs=pairs)
    assert found.indices.tolist() == indices.tolist()
    torch.testing.assert_close(found.distances, torch.from_numpy(distances).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_a_copy_is_at_no_distance_at_all(offset):
    references = draws(200, 1, 8, 8) + offset
    found = nearest(references[50:60], references)
    assert found.indices[:, 0].tolist() == list(range(50, 60))
    assert (found.distances == 0).all()


def test_bytes_are_compared_as_numbers():
    assert nearest(torch.tensor([[250]], dtype=torch.uint8), torch.tensor([[3]], dtype=torch.uint8)).distances == 247


def test_new_examples_of_the_distribution_do_not_look_like_copies():
    train, heldout, samples = draws(2000, 4), draws(2000, 4, seed=1), draws(2000, 4, seed=2)
    result = copying(samples, train, heldout)
    assert result.heldout_share == pytest.approx(0.01)
    assert result.share == pytest.approx(0.01, abs=0.01)
    assert result.nearer == pytest.approx(0.5, abs=0.03)
    assert abs(result.z) < 3


def test_planted_copies_are_told():
    train, heldout, fresh = draws(2000, 8), draws(1000, 8, seed=1), draws(700, 8, seed=2)
    samples = torch.cat([fresh, train[:300] + 0.01 * draws(300, 8, seed=3)])
    result = copying(samples, train, heldout)
    assert result.share == pytest.approx(0.3, abs=0.02)
    assert result.nearer == pytest.approx(0.3 + 0.7 / 2, abs=0.03)
    assert result.z < -8


def test_samples_off_the_data_are_above_zero():
    result = copying(3 * draws(500, 4), draws(500, 4, seed=1), draws(500, 4, seed=2))
    assert result.z > 8
    assert result.nearer < 0.3


def test_the_threshold_by_hand():
    heldout = torch.arange(1.0, 101.0)[:, None]  # at 1 to 100 from the one training example
    result = copying(torch.tensor([[0.5], [2.0], [2.5], [50.0]]), torch.zeros(1, 1), heldout, quantile=0.02)
    assert result.threshold == 2
    assert result.share == 0.5
    assert result.heldout_share == pytest.approx(0.02)


def test_where_all_distances_tie_there_is_no_test():
    result = copying(torch.ones(20, 2), torch.zeros(5, 2), torch.ones(200, 2))
    assert result.z is None
    assert result.nearer == 0.5
    assert result.share == result.heldout_share == 1


@pytest.mark.parametrize("steps", [5, 1_000_000])  # many ties, and hardly any
def test_ranks_are_compared_as_mann_and_whitney_do(steps):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randint(steps, (60,), generator=generator), torch.randint(steps, (90,), generator=generator) // 2
    expected = scipy.stats.mannwhitneyu(x.numpy(), y.numpy(), use_continuity=False, method="asymptotic")
    nearer, z = rank_test(x, y)
    assert nearer == pytest.approx(1 - expected.statistic / (60 * 90))
    assert 2 * scipy.stats.norm.sf(abs(z)) == pytest.approx(expected.pvalue)
    assert z > 0


def test_what_cannot_be_told_is_refused():
    with pytest.raises(UserError, match="it takes 100 held-out examples, and there are 99"):
        copying(draws(5, 2), draws(5, 2), draws(99, 2))
    with pytest.raises(UserError, match="k=6: of 5 references"):
        nearest(draws(5, 2), draws(5, 2), k=6)
    with pytest.raises(UserError, match="queries have 2 dimensions, references 3"):
        nearest(draws(5, 2), draws(5, 3))
    with pytest.raises(UserError, match="NaN"):
        nearest(torch.full((2, 2), math.nan), draws(5, 2))
    with pytest.raises(UserError, match="between 0 and 1"):
        copying(draws(5, 2), draws(5, 2), draws(99, 2), quantile=1.0)


def test_the_error_of_the_share_of_copies_is_its_spread_and_knows_the_threshold_s():
    train = torch.randn(200, 2, generator=seeded(10**6))

    def draw(seed):
        generator = seeded(seed)
        samples, heldout = torch.randn(300, 2, generator=generator), torch.randn(300, 2, generator=generator)
        copied = torch.rand(300, 1, generator=generator) < 0.1
        which = torch.randint(0, len(train), (300,), generator=generator)
        return torch.where(copied, train[which], samples), heldout

    def figures(pair):
        found = copying(pair[0], train, pair[1], quantile=0.05)
        return found.share, found.standard_error

    assert against_spread(draw, figures, sets=120) == pytest.approx(1, abs=0.2)


def test_a_threshold_of_one_held_out_example_has_no_error():
    assert copying(draws(5, 2), draws(5, 2), draws(2, 2), quantile=0.6).standard_error is not None
    assert copying(draws(5, 2), draws(5, 2), draws(1, 2), quantile=1 - 1e-10).standard_error is None
