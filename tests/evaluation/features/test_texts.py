"""Features of text: what is counted, what they tell apart, and that they are kept as they were."""

import pytest
import torch

from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.features import load, save, train_features
from vae_runner.evaluation.features.texts import PAIRS, counts_of, width
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
    assert counts.shape == (4, width(3000)) == (4, 3000 + PAIRS)
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
    with pytest.raises(UserError, match="texts of"):
        features.features(chains(3, 0.5, seed=0, length=20))
