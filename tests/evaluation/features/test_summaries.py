"""Features of text: what is counted, what they tell apart, and that they are kept as they were."""

import pytest
import torch

from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.features import load, save, train_features
from vae_runner.evaluation.features.summaries import PAIRS, counts_of, ended_alike, moments_of
from vae_runner.evaluation.frechet import frechet_distance


def chains(n: int, stay: float, seed: int, length: int = 30, categories: int = 6) -> torch.Tensor:
    """Texts of tokens 1 to 5 in equal shares, each followed by itself with probability `stay`; then they end."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, categories, (n, length), generator=generator)
    keeps = torch.rand(n, length, generator=generator) < stay
    for step in range(1, length):
        tokens[:, step] = torch.where(keeps[:, step], tokens[:, step - 1], tokens[:, step])
    lengths = torch.randint(length // 2, length, (n, 1), generator=generator)
    return tokens.where(torch.arange(length) < lengths, 0)


def test_tokens_and_neighbours_are_counted_up_to_the_end_which_counts_once():
    counts = counts_of(torch.tensor([[2, 1, 2, 0, 0], [1, 1, 1, 1, 1]]), 3)
    single, pairs = counts[:, :3], counts[:, 3:].view(2, 3, 3)
    assert single.tolist() == [[1, 1, 2], [0, 5, 0]]
    assert {(a, b): int(n) for (a, b), n in zip(pairs[0].nonzero().tolist(), pairs[0][pairs[0] > 0], strict=True)} == {
        (1, 2): 1,
        (2, 0): 1,
        (2, 1): 1,
    }
    assert pairs[1].sum() == pairs[1][1, 1] == 4


def test_what_comes_after_the_end_does_not_count():
    assert torch.equal(counts_of(torch.tensor([[2, 0, 1, 2]]), 3), counts_of(torch.tensor([[2, 0, 0, 0]]), 3))


def test_many_pairs_share_places():
    tokens = torch.randint(1, 3000, (4, 20))
    counts = counts_of(tokens, 3000)
    assert counts.shape == (4, 3000 + PAIRS)
    assert counts[:, 3000:].sum(1).tolist() == [19] * 4


def test_the_order_of_tokens_is_told_apart_where_their_shares_are_the_same():
    space = Space(shape=(30,), support="categorical", categories=6, ragged=True)
    features = train_features(chains(2000, 0.5, seed=0), None, space)
    assert features.accuracy is None
    assert "counts of tokens and of neighbours" in features.name
    of = [features.features(chains(1000, stay, seed)) for stay, seed in ((0.5, 1), (0.5, 2), (0.1, 3))]
    alike, apart = frechet_distance(of[0], of[1]), frechet_distance(of[0], of[2])
    assert alike < 2
    assert apart > 10 * alike


def test_classes_of_texts_are_told_and_all_is_kept(tmp_path):
    x = torch.cat([chains(300, 0.9, seed=0), chains(300, 0.0, seed=1)])
    y = torch.arange(600) // 300
    space = Space(shape=(30,), support="categorical", categories=6, ragged=True, classes=2)
    features = train_features(x, y, space, steps=200)
    assert features.accuracy > 0.95
    chances = features.probabilities(x)
    assert chances.shape == (600, 2)
    assert float((chances.argmax(1) == y).float().mean()) > 0.95
    save(features, tmp_path / "features.pt")
    again = load(tmp_path / "features.pt")
    assert (again.name, again.accuracy, again.dimensions) == (features.name, features.accuracy, features.dimensions)
    assert torch.equal(again.features(x), features.features(x))
    assert torch.equal(again.probabilities(x), chances)


def test_texts_of_another_length_are_refused():
    space = Space(shape=(30,), support="categorical", categories=6)
    features = train_features(chains(100, 0.5, seed=0), None, space)
    with pytest.raises(UserError, match="sequences of"):
        features.features(chains(3, 0.5, seed=0, length=20))


def series(n: int, seed: int, coupling: float = 0.0, memory: float = 0.0, channels: int = 3) -> torch.Tensor:
    """Gaussian series (n, 40, channels) of unit variance that end somewhere in their second half, NaN from there on.

    coupling: the correlation of the first two channels at one step. memory: of each channel with itself a step before.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 40, channels, generator=generator)
    x[:, :, 1] = coupling * x[:, :, 0] + (1 - coupling**2) ** 0.5 * x[:, :, 1]
    for step in range(1, 40):
        x[:, step] = memory * x[:, step - 1] + (1 - memory**2) ** 0.5 * x[:, step]
    lengths = torch.randint(20, 40, (n, 1, 1), generator=generator)
    return x.masked_fill(torch.arange(40)[:, None] >= lengths, torch.nan)


def test_moments_are_those_that_the_series_was_made_with():
    x = series(2000, 0, coupling=0.6, memory=0.5)
    mean = moments_of(x).mean(0)
    means, within, across = mean[:3], mean[3:9], mean[9:].view(3, 3)
    torch.testing.assert_close(means, torch.zeros(3), rtol=0, atol=0.02)
    # pairs (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2) of one step
    torch.testing.assert_close(within, torch.tensor([1.0, 0.6, 0.0, 1.0, 0.0, 1.0]), rtol=0, atol=0.03)
    expected = 0.5 * torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(across, expected, rtol=0, atol=0.03)


def test_what_lies_beyond_the_end_of_a_series_does_not_count():
    whole = torch.randn(5, 12, 3)
    padded = torch.cat([whole, torch.full((5, 7, 3), torch.nan)], 1)
    torch.testing.assert_close(moments_of(padded), moments_of(whole))


def test_of_many_channels_each_is_multiplied_with_itself_alone():
    assert moments_of(torch.randn(2, 5, 200)).shape == (2, 600)


@pytest.mark.parametrize("other", [{"coupling": 0.5}, {"memory": 0.5}], ids=str)
def test_channels_that_go_together_and_the_order_of_steps_are_told(other, tmp_path):
    space = Space(shape=(40, 3), support="real", ragged=True)
    features = train_features(series(2000, 0), None, space)
    assert "moments of steps and of neighbours" in features.name
    first = series(1000, 1)
    of = [features.features(x) for x in (first, series(1000, 2), series(1000, 3, **other))]
    alike, apart = frechet_distance(of[0], of[1]), frechet_distance(of[0], of[2])
    assert apart > 10 * alike
    save(features, tmp_path / "features.pt")
    assert torch.equal(load(tmp_path / "features.pt").features(first), of[0])


def test_a_sample_ends_where_the_example_at_its_place_does():
    ended = ended_alike(torch.ones(2, 4, 1), torch.tensor([[1.0, 2, 3, torch.nan], [1, torch.nan] * 2]).unsqueeze(2))
    assert ended.isnan().squeeze(2).tolist() == [[False, False, False, True], [False, True, False, True]]
    tokens = torch.ones(2, 4, dtype=torch.long)
    assert ended_alike(tokens, tokens) is tokens
