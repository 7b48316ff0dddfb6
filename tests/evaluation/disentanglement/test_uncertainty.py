"""Each standard error against the spread of its score over data sets drawn anew."""

import numpy as np
import pytest

from tests.evaluation.disentanglement.planted import grid, noise
from vae_runner.evaluation.disentanglement import NAMES, scores
from vae_runner.evaluation.disentanglement.uncertainty import standard_errors

MIXING = np.array([[1, 0.3, 0, 0.5], [0, 1, 0.5, 0.5], [0, 0.2, 1, 0.5]])


def planted(examples, seed, noise=0.2):
    """Units that tell of a factor each, and of others too, and one of all."""
    values = (3, 4, 6)
    generator = np.random.default_rng(seed)
    factors = np.stack([generator.integers(0, k, examples) for k in values], 1)
    return factors / values @ MIXING + noise * generator.normal(size=(examples, 4)), factors


@pytest.mark.parametrize(
    ("name", "noise", "sets", "with_errors"),
    [
        *(("mig", 0.2, 50, 6), ("modularity", 0.2, 50, 6), ("sap", 0.2, 25, 3)),
        *(("factor_vae", 0.6, 40, 4), ("beta_vae", 0.6, 30, 6), ("explicitness", 0.2, 25, 2)),
    ],
)
def test_the_error_is_the_spread_over_examples(name, noise, sets, with_errors):
    how = {"names": [name], "batches": 400}
    values = [scores(*planted(800, seed, noise), seed=seed, **how)[name] for seed in range(sets)]
    errors = [standard_errors(*planted(800, seed, noise), **how)[name] for seed in range(with_errors)]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values, ddof=1), rel=0.4)


def test_all_scores_have_one():
    factors = grid(2, 3, copies=40)
    codes = factors + 0.5 * noise(240, 2)
    found = standard_errors(codes, factors, batches=200)
    assert found.keys() == scores(codes, factors, batches=200).keys()
    assert all(error is not None and 0 < error < 0.2 for error in found.values())
    assert len(found) == len(NAMES) + 2  # those of dci are three


def test_a_perfect_code_has_none_to_speak_of():
    factors = grid(2, 3, 4, copies=20)
    found = standard_errors(factors, factors, names=["factor_vae", "beta_vae", "dci"], batches=200)
    assert all(error == pytest.approx(0, abs=0.02) for error in found.values())


def test_they_follow_the_seed():
    codes, factors = planted(400, 0)
    first, again, other = (standard_errors(codes, factors, names=["mig"], seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_scores_whose_groups_would_be_too_small_have_none():
    factors = grid(2, 3, copies=4)
    found = standard_errors(factors + noise(24, 2), factors, names=["mig", "dci"], batches=10)
    assert "mig" in found
    assert "dci_disentanglement" not in found
